{{/*
KEDA: as many pods as unfinished jobs ask for.

Jobs that run count too. If only those that wait did, the last one to begin would take away the pods that are busy.
*/}}
{{- define "segprobe.scaledObject" -}}
{{- $name := include "segprobe.podsName" . }}
{{- $database := .root.Values.database }}
{{- $models := list }}
{{- range .options.models }}
{{- $models = append $models (printf "'%s'" .name) }}
{{- end }}
{{- $models = default (list "'demo'") $models }}
{{- with .options.keda }}
{{- if .enabled }}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ $name }}
  labels: {{- include "segprobe.scopeLabels" $ | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ $name }}}
  minReplicaCount: {{ int .minReplicas }}
  maxReplicaCount: {{ int .maxReplicas }}
  pollingInterval: {{ int .pollingSeconds }}
  cooldownPeriod: {{ int .cooldownSeconds }}
  fallback: {failureThreshold: 4, replicas: {{ int .fallbackReplicas }}}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        # a pod that goes hands its jobs back, so it goes alone and not in haste
        scaleDown:
          stabilizationWindowSeconds: {{ int .cooldownSeconds }}
          policies:
            - {type: Pods, value: 1, periodSeconds: 60}
  triggers:
    {{- if eq .trigger "postgresql" }}
    - type: postgresql
      metricType: AverageValue
      metadata:
        host: {{ $database.host | quote }}
        port: {{ int $database.port | quote }}
        userName: {{ $database.user | quote }}
        dbName: {{ $database.name | quote }}
        sslmode: {{ $database.sslMode | quote }}
        query: SELECT count(*) FROM jobs WHERE state IN ('queued', 'running') AND model IN ({{ join ", " $models }})
        targetQueryValue: {{ int .jobsPerReplica | quote }}
      authenticationRef: {name: {{ $name }}}
    {{- else }}
    - type: prometheus
      metricType: AverageValue
      metadata:
        serverAddress: {{ .prometheusAddress | quote }}
        # every process reports the same jobs
        query: sum(max by (state) (segprobe_queue_jobs{ {{- include "segprobe.series" $.root }},state=~"queued|running"}))
        threshold: {{ int .jobsPerReplica | quote }}
      {{- with .prometheusAuthentication }}
      authenticationRef: {name: {{ . }}}
      {{- end }}
    {{- end }}
{{- if eq .trigger "postgresql" }}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata:
  name: {{ $name }}
  labels: {{- include "segprobe.scopeLabels" $ | nindent 4 }}
spec:
  secretTargetRef:
    - {parameter: password, name: {{ $database.existingSecret }}, key: {{ $database.passwordKey }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Labels of the series of a release, as Prometheus' operator sets them. */}}
{{- define "segprobe.series" -}}
{{- $name := include "segprobe.fullname" . -}}
namespace={{ .Release.Namespace | quote }},service=~"{{ $name }}(-workers)?"
{{- end }}
