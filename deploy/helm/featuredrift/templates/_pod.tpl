{{/* The environment of every process. (dict "root" $ "reader" bool "redis" bool) */}}
{{- define "featuredrift.env" -}}
{{- $values := .root.Values }}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      {{- if .reader }}
      {{- include "featuredrift.readerSecret" .root | nindent 6 }}
      {{- else }}
      name: {{ $values.database.existingSecret }}
      key: {{ $values.database.key }}
      {{- end }}
{{- if .redis }}
- name: REDIS_URL
  valueFrom:
    secretKeyRef:
      name: {{ $values.redis.existingSecret }}
      key: {{ $values.redis.key }}
{{- end }}
{{- with $values.artifacts.url }}
- name: FEATUREDRIFT_ARTIFACT_URL
  value: {{ . | quote }}
{{- end }}
- name: FEATUREDRIFT_MODEL_ROOTS
  value: /models
- name: FEATUREDRIFT_ALLOW_HUB
  value: {{ $values.models.allowHub | quote }}
{{- if not (hasKey $values.settings "PUBLIC_URL") }}
- name: FEATUREDRIFT_PUBLIC_URL
  value: http://{{ include "featuredrift.fullname" .root }}-api.{{ .root.Release.Namespace }}:{{ $values.api.port }}
{{- end }}
{{- range $name, $value := $values.extraEnv }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- range $name, $value := $values.settings }}
- name: FEATUREDRIFT_{{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "featuredrift.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities: {drop: [ALL]}
{{- end }}

{{/* Variables from secrets: the artifact store's credentials, and more. (list name …) */}}
{{- define "featuredrift.envFrom" -}}
{{- with compact . }}
envFrom:
{{- range . }}
  - secretRef: {name: {{ . }}}
{{- end }}
{{- end }}
{{- end }}

{{/* Mounts and volumes of what reads artifacts and models. */}}
{{- define "featuredrift.dataMounts" -}}
{{- if .Values.artifacts.existingClaim }}
- {name: artifacts, mountPath: /var/lib/featuredrift/artifacts}
{{- end }}
{{- if .Values.models.existingClaim }}
- {name: models, mountPath: /models, readOnly: true}
{{- end }}
{{- end }}

{{- define "featuredrift.dataVolumes" -}}
{{- with .Values.artifacts.existingClaim }}
- name: artifacts
  persistentVolumeClaim: {claimName: {{ . }}}
{{- end }}
{{- with .Values.models.existingClaim }}
- name: models
  persistentVolumeClaim: {claimName: {{ . }}, readOnly: true}
{{- end }}
{{- end }}

{{/* The rest of a pod: who it runs as and where. (dict "root" $ "component" name "at" values) */}}
{{- define "featuredrift.placement" -}}
{{- $root := .root }}
securityContext: {{- toYaml $root.Values.podSecurityContext | nindent 2 }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .at.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .at.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .at.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if not .at.affinity }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "featuredrift.selector" . | nindent 8 }}
{{- end }}
{{- end }}
