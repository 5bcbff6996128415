{{/* Who a container is, what it may do, and what it is told in secret. Passwords come by reference only. */}}

{{- define "segprobe.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "segprobe.containerSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Variables of the program. */}}
{{- define "segprobe.env" -}}
{{- $lines := list (include "segprobe.imageEnv" .) (include "segprobe.storageEnv" .root) -}}
{{- if eq .component "worker" -}}
{{- $lines = append $lines (include "segprobe.addressEnv" .root) -}}
{{- end -}}
{{- if ne .component "api" -}}
{{- if int .options.gpu.count -}}
{{- /* where the driver keeps what it translated; its default is below a home that cannot be written */ -}}
{{- $lines = append $lines "- {name: CUDA_CACHE_PATH, value: /tmp/cuda}" -}}
{{- end -}}
{{- end -}}
{{- with .options.extraEnv -}}
{{- $lines = append $lines (toYaml .) -}}
{{- end -}}
{{- compact $lines | join "\n" -}}
{{- end }}

{{/* The image sets these for whoever runs it without a file, and a variable goes over the file. */}}
{{- define "segprobe.imageEnv" -}}
- {name: SEGPROBE_SERVER__LISTEN, value: {{ .config.server.listen | quote }}}
- {name: SEGPROBE_STORAGE__FOLDER, value: {{ .config.storage.folder }}}
- {name: SEGPROBE_ACCESS__MODE, value: {{ .config.access.mode }}}
- {name: SEGPROBE_LOG__FORMAT, value: {{ .config.log.format }}}
{{- end }}

{{/* What opens the database and the bucket. */}}
{{- define "segprobe.storageEnv" -}}
{{- $lines := list -}}
{{- if eq .Values.mode "scaled" -}}
{{- with .Values.database -}}
{{- $lines = append $lines (include "segprobe.secretEnv" (list "PGPASSWORD" .existingSecret .passwordKey)) -}}
{{- end -}}
{{- with .Values.artifacts -}}
{{- if .existingSecret -}}
{{- $lines = append $lines (include "segprobe.secretEnv" (list "AWS_ACCESS_KEY_ID" .existingSecret .accessKeyIdKey)) -}}
{{- $lines = append $lines (include "segprobe.secretEnv" (list "AWS_SECRET_ACCESS_KEY" .existingSecret .secretAccessKeyKey)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if .Values.trust.configMap -}}
{{- $lines = append $lines (printf "- {name: SSL_CERT_FILE, value: /etc/segprobe-trust/%s}" .Values.trust.key) -}}
{{- end -}}
{{- join "\n" $lines -}}
{{- end }}

{{- define "segprobe.secretEnv" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef: {name: {{ index . 1 }}, key: {{ index . 2 }}}
{{- end }}

{{/* Where the API finds a worker: it passes segmentations on. */}}
{{- define "segprobe.addressEnv" -}}
- name: POD_IP
  valueFrom:
    fieldRef: {fieldPath: status.podIP}
- name: SEGPROBE_SERVER__ADVERTISE
  value: {{ ternary "http://[$(POD_IP)]:8080" "http://$(POD_IP):8080" (eq .Values.ipFamily "IPv6") | quote }}
{{- end }}
