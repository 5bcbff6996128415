{{/* The pods of all components: one shape, of which a scope leaves out what it has no use for. */}}

{{/* The whole scope of some pods: options and settings are worked out once. */}}
{{- define "segprobe.prepare" -}}
{{- include "segprobe.resolve" . -}}
{{- include "segprobe.settings" . -}}
{{- end }}

{{- define "segprobe.podTemplate" -}}
{{- $values := .root.Values -}}
{{- $options := .options -}}
{{- $runsAttacks := ne .component "api" -}}
metadata:
  labels: {{- include "segprobe.podLabels" . | nindent 4 }}
  annotations:
    # the program reads its settings at its start only
    checksum/config: {{ include "segprobe.toml" . | sha256sum }}
    {{- with $options.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "segprobe.serviceAccountName" .root }}
  automountServiceAccountToken: false
  # the variables that links make begin with SEGPROBE_, which is where settings come from
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ include "segprobe.stopSeconds" . }}
  {{- with $values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext: {{- include "segprobe.podSecurity" . | nindent 4 }}
  {{- if and $runsAttacks $options.gpu.runtimeClassName }}
  runtimeClassName: {{ $options.gpu.runtimeClassName }}
  {{- end }}
  {{- with $options.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $options.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $options.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $options.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $options.topologySpread }}
  topologySpreadConstraints:
    {{- range . }}
    - topologyKey: {{ .topologyKey }}
      maxSkew: {{ int .maxSkew }}
      whenUnsatisfiable: {{ .whenUnsatisfiable }}
      labelSelector:
        matchLabels: {{- include "segprobe.selector" $ | nindent 10 }}
      # pods of the version that goes do not count
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
  {{- with include "segprobe.initContainers" . }}
  {{- . | nindent 2 }}
  {{- end }}
  containers:
    - name: segprobe
      image: {{ include "segprobe.image" . }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      command: [segprobe]
      args: [serve, --config, /etc/segprobe/segprobe.toml]
      {{- with include "segprobe.env" . }}
      env: {{- . | nindent 8 }}
      {{- end }}
      ports:
        - name: http
          containerPort: 8080
      # neither answers before the models are loaded
      startupProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: {{ max 1 (div (add (int $options.startupSeconds) 4) 5) }}
      # no database in it: a pod is not restarted because something else is down
      livenessProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 3
      {{- if ne (include "segprobe.lingerSeconds" .) "0" }}
      lifecycle:
        preStop:
          sleep: {seconds: {{ include "segprobe.lingerSeconds" . }}}
      {{- end }}
      resources: {{- include "segprobe.resources" . | nindent 8 }}
      securityContext: {{- include "segprobe.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - {name: config, mountPath: /etc/segprobe, readOnly: true}
        - {name: data, mountPath: /var/lib/segprobe}
        - {name: tmp, mountPath: /tmp}
        {{- if and $runsAttacks (ne $options.weights.source "none") }}
        - {name: models, mountPath: /models, readOnly: true}
        {{- end }}
        {{- if $values.trust.configMap }}
        - {name: trust, mountPath: /etc/segprobe-trust, readOnly: true}
        {{- end }}
        {{- with $options.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes: {{- include "segprobe.volumes" . | nindent 4 }}
{{- end }}

{{/* What runs before the program, or beside it from before its start. */}}
{{- define "segprobe.initContainers" -}}
{{- $options := .options -}}
{{- $copies := and (ne .component "api") (eq $options.weights.source "copy") -}}
{{- $streams := and (ne .component "single") $options.auditStream.enabled -}}
{{- if or $copies $streams -}}
initContainers:
{{- if $copies }}
  - name: weights
    image: {{ $options.weights.copy.image }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    command: {{- toYaml $options.weights.copy.command | nindent 6 }}
    env:
      # clients keep their caches there, and the root file system is read-only
      - {name: HOME, value: /tmp}
      {{- with $options.weights.copy.env }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    # what the scheduler counts is the larger of this and the program's own, which runs later
    resources:
      requests: {cpu: 100m, memory: 256Mi}
      limits: {memory: 1Gi}
    securityContext: {{- include "segprobe.containerSecurity" . | nindent 6 }}
    volumeMounts:
      - {name: models, mountPath: /models}
      - {name: tmp, mountPath: /tmp}
      {{- if .root.Values.trust.configMap }}
      - {name: trust, mountPath: /etc/segprobe-trust, readOnly: true}
      {{- end }}
{{- end }}
{{- if $streams }}
  - name: audit
    image: {{ $options.auditStream.image | default (include "segprobe.image" .) }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    # runs as long as the program does
    restartPolicy: Always
    # a shell, since the first process of a container ignores signals that it does not ask for
    command:
      - sh
      - -c
      - trap "sleep 1; exit 0" TERM; tail -n +1 -F /var/lib/segprobe/audit.jsonl & wait
    resources:
      requests: {cpu: 10m, memory: 16Mi}
      limits: {memory: 32Mi}
    securityContext: {{- include "segprobe.containerSecurity" . | nindent 6 }}
    volumeMounts:
      - {name: data, mountPath: /var/lib/segprobe, readOnly: true}
{{- end }}
{{- end -}}
{{- end }}

{{- define "segprobe.volumes" -}}
{{- $values := .root.Values -}}
{{- $options := .options -}}
- name: config
  configMap:
    name: {{ include "segprobe.podsName" . }}
- name: data
  {{- if eq .component "single" }}
  persistentVolumeClaim:
    claimName: {{ $values.single.persistence.existingClaim | default (include "segprobe.fullname" .root) }}
  {{- else }}
  # jobs and files are in the database and the bucket; this holds the lock and the audit log
  emptyDir: {sizeLimit: 1Gi}
  {{- end }}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
{{- if ne .component "api" }}
{{- if eq $options.weights.source "claim" }}
- name: models
  persistentVolumeClaim:
    claimName: {{ $options.weights.existingClaim }}
    readOnly: true
{{- else if eq $options.weights.source "copy" }}
- name: models
  emptyDir: {sizeLimit: {{ $options.weights.copy.sizeLimit }}}
{{- end }}
{{- end }}
{{- if $values.trust.configMap }}
- name: trust
  configMap:
    name: {{ $values.trust.configMap }}
{{- end }}
{{- with $options.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Requests and limits, and the GPUs, which cannot be shared and so are limits only. */}}
{{- define "segprobe.resources" -}}
{{- $resources := dict -}}
{{- include "segprobe.overlay" (dict "onto" $resources "from" .options.resources) -}}
{{- if ne .component "api" -}}
{{- with .options.gpu -}}
{{- if int .count -}}
{{- include "segprobe.overlay" (dict "onto" $resources "from" (dict "limits" (dict .resource (int .count)))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end }}
