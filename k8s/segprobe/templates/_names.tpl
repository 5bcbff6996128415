{{/*
Names, labels and images.

Templates of pods take a scope: a dict with `root` (what Helm passes), `component` (single, api, worker or migrate),
`pool` (the name of a pool of workers, else empty) and `options` (values that hold for these pods).
*/}}

{{/* Beginning of all names; 40 characters leave room for `-worker-` and the name of a pool. */}}
{{- define "segprobe.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if not (contains $name .Release.Name) -}}
{{- $name = printf "%s-%s" .Release.Name $name -}}
{{- else -}}
{{- $name = .Release.Name -}}
{{- end -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* Name of what belongs to some pods only. */}}
{{- define "segprobe.podsName" -}}
{{- $name := include "segprobe.fullname" .root -}}
{{- if eq .component "single" -}}{{ $name }}
{{- else if .pool -}}{{ $name }}-{{ .component }}-{{ .pool }}
{{- else -}}{{ $name }}-{{ .component }}
{{- end -}}
{{- end }}

{{- define "segprobe.serviceAccountName" -}}
{{- if .Values.serviceAccount.name -}}{{ .Values.serviceAccount.name }}
{{- else if .Values.serviceAccount.create -}}{{ include "segprobe.fullname" . }}
{{- else -}}default
{{- end -}}
{{- end }}

{{/* What finds all pods of a release. */}}
{{- define "segprobe.releaseSelector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What finds the pods of a scope. Never changed: a Deployment keeps its selector for ever. */}}
{{- define "segprobe.selector" -}}
{{ include "segprobe.releaseSelector" .root }}
app.kubernetes.io/component: {{ .component }}
{{- if .pool }}
segprobe/pool: {{ .pool }}
{{- end }}
{{- end }}

{{/* Labels of an object that belongs to the whole release. */}}
{{- define "segprobe.labels" -}}
{{ include "segprobe.releaseSelector" . }}
{{ include "segprobe.chartLabels" . }}
{{- end }}

{{/* Labels of the pods of a scope. Not the chart's version: pods stay if only that changes. */}}
{{- define "segprobe.podLabels" -}}
{{ include "segprobe.selector" . }}
{{ include "segprobe.versionLabels" .root }}
{{- end }}

{{/* Labels of an object of a scope. */}}
{{- define "segprobe.scopeLabels" -}}
{{ include "segprobe.selector" . }}
{{ include "segprobe.chartLabels" .root }}
{{- end }}

{{- define "segprobe.chartLabels" -}}
{{ include "segprobe.versionLabels" . }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "segprobe.versionLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The image of a scope: the digest if there is one, for a digest names the bytes. */}}
{{- define "segprobe.image" -}}
{{- $base := .root.Values.image -}}
{{- $own := .options.image | default dict -}}
{{- $repository := default $base.repository $own.repository -}}
{{- /* a digest of the chart's image means nothing in another repository, nor beside another tag */ -}}
{{- $inherits := and (eq $repository $base.repository) (not $own.tag) -}}
{{- $digest := $own.digest | default (ternary $base.digest "" $inherits) -}}
{{- $tag := $own.tag | default $base.tag | default .root.Chart.AppVersion -}}
{{- if $digest -}}{{ $repository }}@{{ $digest }}{{- else -}}{{ $repository }}:{{ $tag }}{{- end -}}
{{- end }}

{{/*
Sets `options` of a scope: the values of `pods`, over them those of the component, over them those of the pool.
*/}}
{{- define "segprobe.resolve" -}}
{{- $values := .root.Values -}}
{{- $layers := list $values.pods -}}
{{- if eq .component "api" -}}
{{- $layers = append $layers $values.api -}}
{{- else -}}
{{- $layers = append $layers $values.worker -}}
{{- end -}}
{{- if .pool -}}
{{- $layers = append $layers (get $values.workers .pool | default dict) -}}
{{- end -}}
{{- $_ := set . "options" dict -}}
{{- range $layers -}}
{{- include "segprobe.overlay" (dict "onto" $.options "from" .) -}}
{{- end -}}
{{- end }}

{{/* Lays one dict over another; lists and plain values are replaced, empty ones too. */}}
{{- define "segprobe.overlay" -}}
{{- $onto := .onto -}}
{{- range $key, $value := .from -}}
{{- if and (kindIs "map" $value) (kindIs "map" (get $onto $key)) -}}
{{- include "segprobe.overlay" (dict "onto" (get $onto $key) "from" $value) -}}
{{- else if kindIs "map" $value -}}
{{- $_ := set $onto $key (deepCopy $value) -}}
{{- else if not (kindIs "invalid" $value) -}}
{{- $_ := set $onto $key $value -}}
{{- end -}}
{{- end -}}
{{- end }}
