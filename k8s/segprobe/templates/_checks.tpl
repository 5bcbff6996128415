{{/* What values.schema.json cannot say: rules between values that lie far apart. */}}

{{/* The scopes of a release, as YAML: `component` and `pool` of each. */}}
{{- define "segprobe.scopes" -}}
{{- if eq .Values.mode "single" }}
- {component: single, pool: ""}
{{- else }}
- {component: api, pool: ""}
{{- range $pool := keys .Values.workers | sortAlpha }}
- {component: worker, pool: {{ $pool }}}
{{- end }}
{{- end }}
{{- end }}

{{- define "segprobe.checks" -}}
{{- $values := .Values -}}
{{- with $values.api.autoscaling -}}
{{- if gt (int .minReplicas) (int .maxReplicas) -}}
{{- fail "api.autoscaling.minReplicas is above maxReplicas" -}}
{{- end -}}
{{- end -}}
{{- if and $values.serviceMonitor.enabled (eq $values.config.access.mode "keys") (not $values.serviceMonitor.keySecret.name) -}}
{{- fail "serviceMonitor.keySecret.name is empty: /metrics asks for a key in access mode keys, so name a secret with one of scope reader" -}}
{{- end -}}
{{- $access := $values.config.access -}}
{{- if and $access.oidc_issuer (ne $access.mode "keys") -}}
{{- fail "config.access.oidc_issuer is set, but in mode open_to_everybody nobody is asked for a token" -}}
{{- end -}}
{{- if ne (empty $access.oidc_issuer) (empty $access.oidc_audience) -}}
{{- fail "config.access: set oidc_issuer and oidc_audience, or neither" -}}
{{- end -}}
{{- $limits := $values.config.limits | default dict -}}
{{- if and $limits.body_bytes (gt (int64 $limits.body_bytes) (int64 (default 268435456 $limits.waiting_bytes))) -}}
{{- fail "config.limits.waiting_bytes is below body_bytes: no upload of that size would be taken" -}}
{{- end -}}
{{- range $scope := include "segprobe.scopes" . | fromYamlArray -}}
{{- if ne $scope.component "api" -}}
{{- $scope = dict "root" $ "component" $scope.component "pool" $scope.pool -}}
{{- include "segprobe.resolve" $scope -}}
{{- include "segprobe.checkPool" $scope -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "segprobe.checkPool" -}}
{{- $where := ternary (printf "workers.%s" .pool) "worker" (ne .pool "") -}}
{{- $options := .options -}}
{{- $onGpu := false -}}
{{- $names := list -}}
{{- range $options.models -}}
{{- if hasPrefix "cuda" (default "cpu" .device) -}}
{{- $onGpu = true -}}
{{- end -}}
{{- if has .name $names -}}
{{- fail (printf "%s.models: two are called %s" $where .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- if and $onGpu (not (int $options.gpu.count)) -}}
{{- fail (printf "%s.gpu.count is 0, but a model wants cuda" $where) -}}
{{- end -}}
{{- if and (int $options.gpu.count) (not $onGpu) -}}
{{- fail (printf "%s.gpu.count is not 0, but no model has device cuda: it would hold a GPU and not use it" $where) -}}
{{- end -}}
{{- if and (int $options.gpu.count) (not $options.image.repository) (not $options.image.tag) (not $options.image.digest) -}}
{{- fail (printf "%s.image is empty: a GPU needs the image with CUDA, so name its tag" $where) -}}
{{- end -}}
{{- if and (eq $options.weights.source "claim") (not $options.weights.existingClaim) -}}
{{- fail (printf "%s.weights.existingClaim is empty: name the claim that holds the models" $where) -}}
{{- end -}}
{{- if and (eq $options.weights.source "copy") (not $options.weights.copy.image) -}}
{{- fail (printf "%s.weights.copy.image is empty: name the image that fills /models" $where) -}}
{{- end -}}
{{- if .pool -}}
{{- $keda := $options.keda -}}
{{- if gt (int $keda.minReplicas) (int $keda.maxReplicas) -}}
{{- fail (printf "%s.keda.minReplicas is above maxReplicas" $where) -}}
{{- end -}}
{{- if and $keda.enabled (eq $keda.trigger "prometheus") (gt (len .root.Values.workers) 1) -}}
{{- fail (printf "%s.keda.trigger prometheus counts the jobs of all models: with several pools use postgresql" $where) -}}
{{- end -}}
{{- if and $keda.enabled (eq $keda.trigger "prometheus") (not $keda.prometheusAddress) -}}
{{- fail (printf "%s.keda.prometheusAddress is empty" $where) -}}
{{- end -}}
{{- end -}}
{{- end }}
