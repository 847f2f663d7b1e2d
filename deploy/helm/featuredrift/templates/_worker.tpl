{{/* A Deployment of workers. (dict "root" $ "component" "worker" "at" values "device" "cpu") */}}
{{- define "featuredrift.worker" -}}
{{- $root := .root }}
{{- $at := .at }}
{{- $resources := deepCopy $at.resources }}
{{- if eq .device "cuda" }}
{{- $_ := set $resources "limits" (merge (dict $at.gpuResource $at.gpus) ($resources.limits | default dict)) }}
{{- end }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "featuredrift.fullname" $root }}-{{ .component }}
  labels: {{- include "featuredrift.labels" . | nindent 4 }}
spec:
  {{- if not $at.autoscaling.enabled }}
  replicas: {{ $at.replicas }}
  {{- end }}
  # Workers of two releases side by side would refuse each other's shards.
  strategy: {type: Recreate}
  selector:
    matchLabels: {{- include "featuredrift.selector" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "featuredrift.labels" . | nindent 8 }}
      {{- with $at.podAnnotations }}
      annotations: {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ include "featuredrift.serviceAccountName" $root }}
      {{- include "featuredrift.placement" . | nindent 6 }}
      terminationGracePeriodSeconds: {{ $at.terminationGracePeriodSeconds }}
      {{- with $at.runtimeClassName }}
      runtimeClassName: {{ . }}
      {{- end }}
      containers:
        # No probe: it serves nothing. It ends when it cannot work, a shard that hangs is cut off by
        # its time limits, and the alert WorkerAbsent watches the rest.
        - name: worker
          image: {{ include "featuredrift.image" (dict "image" $root.Values.image.worker "tag" (printf "%s-%s" $root.Chart.AppVersion .device)) }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [worker, --concurrency, {{ $at.concurrency | quote }}]
          securityContext: {{- include "featuredrift.containerSecurity" $root | nindent 12 }}
          env:
            {{- include "featuredrift.env" (dict "root" $root "redis" true) | nindent 12 }}
            - name: FEATUREDRIFT_DEVICE
              value: {{ .device }}
            {{- if not (hasKey $root.Values.settings "ARTIFACT_CACHE_BYTES") }}
            - name: FEATUREDRIFT_ARTIFACT_CACHE_BYTES
              value: {{ include "featuredrift.artifactCacheBytes" $at.cacheSize | quote }}
            {{- end }}
          {{- include "featuredrift.envFrom" (list $root.Values.artifacts.credentialsSecret) | nindent 10 }}
          resources: {{- toYaml $resources | nindent 12 }}
          volumeMounts:
            - {name: cache, mountPath: /var/cache/featuredrift}
            - {name: tmp, mountPath: /tmp}
            {{- include "featuredrift.dataMounts" $root | nindent 12 }}
      volumes:
        - name: cache
          emptyDir: {sizeLimit: {{ $at.cacheSize }}}
        - name: tmp
          emptyDir: {sizeLimit: 1Gi}
        {{- include "featuredrift.dataVolumes" $root | nindent 8 }}
{{- end }}

{{/* Copies of artifacts take at most half of the cache volume: a pod that fills it is evicted, and
     checkpoints, dictionaries and what is being downloaded lie there as well. */}}
{{- define "featuredrift.artifactCacheBytes" -}}
{{- $unit := get (dict "Ki" 10 "Mi" 20 "Gi" 30 "Ti" 40) (regexFind "[KMGT]i$" .) }}
{{- $bytes := regexFind "^[0-9.]+" . | float64 }}
{{- range until $unit }}{{ $bytes = mulf $bytes 2 }}{{ end }}
{{- divf $bytes 2 | floor | int64 }}
{{- end }}

{{/* How many of them there are: open shards, counted where the truth is. Running ones count too,
     or the pod that works on the last one would be scaled away from under it. */}}
{{- define "featuredrift.scaler" -}}
{{- $root := .root }}
{{- $at := .at }}
{{- $name := printf "%s-%s" (include "featuredrift.fullname" $root) .component }}
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata:
  name: {{ $name }}
  labels: {{- include "featuredrift.labels" . | nindent 4 }}
spec:
  secretTargetRef:
    - parameter: connection
      {{- include "featuredrift.readerSecret" $root | nindent 6 }}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ $name }}
  labels: {{- include "featuredrift.labels" . | nindent 4 }}
spec:
  scaleTargetRef:
    name: {{ $name }}
  minReplicaCount: {{ $at.autoscaling.minReplicas }}
  maxReplicaCount: {{ $at.autoscaling.maxReplicas }}
  pollingInterval: {{ $at.autoscaling.pollingInterval }}
  cooldownPeriod: {{ $at.autoscaling.cooldownPeriod }}
  triggers:
    - type: postgresql
      metricType: AverageValue
      authenticationRef:
        name: {{ $name }}
      metadata:
        query: "SELECT count(*) FROM shards WHERE state IN ('queued', 'running')"
        targetQueryValue: {{ $at.concurrency | quote }}
        activationTargetQueryValue: "0"
{{- end }}
