{{/* The settings of a process: `config`, over it those of the pool, over it what the chart decides. */}}

{{/* Sets `config` of a scope whose options are resolved. */}}
{{- define "segprobe.settings" -}}
{{- $values := .root.Values -}}
{{- $config := dict -}}
{{- include "segprobe.overlay" (dict "onto" $config "from" $values.config) -}}
{{- include "segprobe.overlay" (dict "onto" $config "from" (.options.config | default dict)) -}}
{{- $server := dict "role" (ternary "all" .component (eq .component "single")) -}}
{{- $_ := set $server "listen" (ternary "[::]:8080" "0.0.0.0:8080" (eq $values.ipFamily "IPv6")) -}}
{{- include "segprobe.overlay" (dict "onto" $config "from" (dict "server" $server)) -}}
{{- $_ := set $config "storage" (dict "folder" "/var/lib/segprobe") -}}
{{- if eq $values.mode "scaled" -}}
{{- $shared := dict "database" (include "segprobe.databaseUrl" .root) "artifacts" (include "segprobe.artifactsUrl" .root) -}}
{{- $_ := set $shared "s3_endpoint" $values.artifacts.endpoint -}}
{{- $_ := set $shared "s3_region" $values.artifacts.region -}}
{{- $_ := set $shared "s3_path_style" $values.artifacts.pathStyle -}}
{{- include "segprobe.overlay" (dict "onto" $config.storage "from" $shared) -}}
{{- end -}}
{{- $_ := set . "config" $config -}}
{{- end }}

{{/* The same as a TOML file. What is empty has no line: the program has a default for it. */}}
{{- define "segprobe.toml" -}}
{{- range $section, $settings := .config }}
{{- $lines := list -}}
{{- range $key, $value := $settings -}}
{{- if not (has (toString $value) (list "" "<nil>")) -}}
{{- $lines = append $lines (printf "%s = %s" $key (include "segprobe.literal" $value)) -}}
{{- end -}}
{{- end -}}
{{- with $lines -}}
[{{ $section }}]
{{ join "\n" . }}

{{ end -}}
{{- end -}}
{{- if ne .component "api" -}}
{{- range .options.models -}}
[[models]]
{{ range $key, $value := . -}}
{{ $key }} = {{ include "segprobe.literal" $value }}
{{ end }}
{{ end -}}
{{- end -}}
{{- end }}

{{/* JSON's texts, booleans and lists of texts mean the same in TOML. A number that is whole is written as one: `1e+06` is none there. */}}
{{- define "segprobe.literal" -}}
{{- if or (kindIs "bool" .) (kindIs "slice" .) (and (kindIs "string" .) (not (typeIs "json.Number" .))) -}}
{{- toJson . -}}
{{- else if ne (float64 .) (floor .) -}}
{{- float64 . -}}
{{- else -}}
{{- int64 . -}}
{{- end -}}
{{- end }}

{{/* Without the password, which comes as PGPASSWORD. */}}
{{- define "segprobe.databaseUrl" -}}
{{- with .Values.database -}}
postgres://{{ .user }}@{{ .host }}:{{ int .port }}/{{ .name }}?sslmode={{ .sslMode }}
{{- end -}}
{{- end }}

{{- define "segprobe.artifactsUrl" -}}
s3://{{ .Values.artifacts.bucket }}{{ with .Values.artifacts.prefix }}/{{ . }}{{ end }}
{{- end }}

{{/* The port of a URL. */}}
{{- define "segprobe.port" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- $port | default (ternary "80" "443" (eq $url.scheme "http")) -}}
{{- end }}

{{/* Seconds from the signal to the end; docs/operating.md asks for 10 more than attacks get. */}}
{{- define "segprobe.stopSeconds" -}}
{{- $grace := int (dig "server" "shutdown_grace_seconds" 20 .config) -}}
{{- add $grace 10 (int (include "segprobe.lingerSeconds" .)) -}}
{{- end }}

{{/*
Seconds that a pod goes on to serve after it was taken out of the Service. The program accepts nothing more from the
signal on, and proxies learn of a pod's end a little later than the pod itself. Workers are found by their
announcements instead.
*/}}
{{- define "segprobe.lingerSeconds" -}}
{{- if eq .component "api" }}5{{ else }}0{{ end -}}
{{- end }}
