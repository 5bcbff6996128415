{{/* Lets a drain take pods one after the other. A single pod may always be taken: its jobs are handed back. */}}
{{- define "segprobe.podDisruptionBudget" -}}
{{- with .options.podDisruptionBudget }}
{{- if .enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "segprobe.podsName" $ }}
  labels: {{- include "segprobe.scopeLabels" $ | nindent 4 }}
spec:
  maxUnavailable: {{ int .maxUnavailable }}
  # a pod that does not work must not hold up a drain
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "segprobe.selector" $ | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}
