{{- define "featuredrift.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "featuredrift.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "featuredrift.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "featuredrift.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What never changes of a pod: selectors. (dict "root" $ "component" "api") */}}
{{- define "featuredrift.selector" -}}
app.kubernetes.io/name: {{ include "featuredrift.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "featuredrift.labels" -}}
{{ include "featuredrift.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* (dict "image" .Values.image.api "tag" "default tag") */}}
{{- define "featuredrift.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .tag }}
{{- end -}}
{{- end }}

{{- define "featuredrift.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "featuredrift.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{- define "featuredrift.readerSecret" -}}
{{- if .Values.database.readerSecret }}
name: {{ .Values.database.readerSecret }}
key: {{ .Values.database.readerKey }}
{{- else }}
name: {{ .Values.database.existingSecret }}
key: {{ .Values.database.key }}
{{- end }}
{{- end }}

{{/* What values alone cannot say; each message says what to do. */}}
{{- define "featuredrift.check" -}}
{{- if not .Values.api.keysSecret }}
{{- if not .Values.api.allowUnauthenticatedBind }}
{{- fail "Set api.keysSecret to a secret that holds key-pepper (docs/keys.md). Without keys whoever reaches the API can read, register and delete: where a proxy authenticates, name it in networkPolicy.clients, and set api.allowUnauthenticatedBind=true." }}
{{- end }}
{{- if not .Values.networkPolicy.enabled }}
{{- fail "networkPolicy.enabled=false would open the API, which has no keys, to the whole cluster. Set api.keysSecret, or leave it on." }}
{{- end }}
{{- end }}
{{- if not .Values.database.existingSecret }}
{{- fail "Set database.existingSecret to a secret that holds the postgresql:// URL." }}
{{- end }}
{{- if not .Values.redis.existingSecret }}
{{- fail "Set redis.existingSecret to a secret that holds the redis:// URL." }}
{{- end }}
{{- if and (not .Values.artifacts.url) (not .Values.artifacts.existingClaim) }}
{{- fail "Set artifacts.url to a store that all pods can reach, such as s3://bucket/prefix, or artifacts.existingClaim to a claim that many pods can write." }}
{{- end }}
{{- if and .Values.worker.enabled .Values.gpuWorker.enabled }}
{{- fail "worker.enabled and gpuWorker.enabled: CPU and GPU compute other last bits and cannot share a queue. Enable one." }}
{{- end }}
{{- $limit := float64 (.Values.settings.SHARD_HARD_LIMIT | default 1800) }}
{{- range $name, $at := dict "worker" .Values.worker "gpuWorker" .Values.gpuWorker }}
{{- if and $at.enabled (lt (float64 $at.terminationGracePeriodSeconds) $limit) }}
{{- fail (printf "%s.terminationGracePeriodSeconds=%v is less than the time limit of a shard, %v: a pod that is scaled away would be cut off. Raise it." $name $at.terminationGracePeriodSeconds $limit) }}
{{- end }}
{{- end }}
{{- end }}
