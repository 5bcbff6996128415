{{/* Rules of NetworkPolicies. */}}

{{/* One rule: `to` is a list of peers (anywhere if empty), `ports` a list of `TCP/443`. */}}
{{- define "segprobe.egress" -}}
- ports:
    {{- range .ports }}
    - {protocol: {{ splitList "/" . | first }}, port: {{ splitList "/" . | last }}}
    {{- end }}
  {{- with .to }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* What every pod may reach. */}}
{{- define "segprobe.commonEgress" -}}
{{- $policy := .Values.networkPolicy -}}
{{ include "segprobe.egress" (dict "to" $policy.dns "ports" (list "UDP/53" "TCP/53")) }}
{{- with .Values.config.access.oidc_issuer }}
{{ include "segprobe.egress" (dict "to" $policy.issuer "ports" (list (printf "TCP/%s" (include "segprobe.port" .)))) }}
{{- end }}
{{- with dig "telemetry" "otlp_endpoint" "" .Values.config }}
{{ include "segprobe.egress" (dict "to" $policy.traces "ports" (list (printf "TCP/%s" (include "segprobe.port" .)))) }}
{{- end }}
{{- with $policy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* PostgreSQL and S3. A role's token comes from where 443 is, whatever the port of S3. */}}
{{- define "segprobe.storageEgress" -}}
{{- $policy := .Values.networkPolicy -}}
{{- $artifacts := .Values.artifacts -}}
{{- $ports := list (printf "TCP/%s" (include "segprobe.port" (default "https://s3" $artifacts.endpoint))) -}}
{{- if not $artifacts.existingSecret -}}
{{- $ports = append $ports "TCP/443" -}}
{{- end -}}
{{ include "segprobe.egress" (dict "to" $policy.database "ports" (list (printf "TCP/%d" (int .Values.database.port)))) }}
{{ include "segprobe.egress" (dict "to" $policy.artifacts "ports" (uniq $ports)) }}
{{- end }}
