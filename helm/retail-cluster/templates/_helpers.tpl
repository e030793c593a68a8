{{/* Name of everything: the release's, because the RetailCluster and its pods are called by it. */}}
{{- define "retail.name" -}}
{{- $name := default .Release.Name .Values.fullnameOverride -}}
{{- if gt (len $name) 43 }}
{{- fail (printf "the name %q has more than 43 characters: the pods' names are made from it. Use a shorter release name, or fullnameOverride" $name) }}
{{- end }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) }}
{{- fail (printf "the name %q must begin with a letter and hold only a-z, 0-9 and -: Services are named after it. Use another release name, or fullnameOverride" $name) }}
{{- end }}
{{- $name -}}
{{- end }}

{{- define "retail.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end }}

{{/* What a selector may use: never changes. Call with (list . "component"). */}}
{{- define "retail.selector" -}}
app.kubernetes.io/name: retail
app.kubernetes.io/instance: {{ include "retail.name" (first .) }}
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{- define "retail.labels" -}}
{{- $root := first . -}}
{{ include "retail.selector" . }}
app.kubernetes.io/version: {{ default $root.Chart.AppVersion $root.Values.image.tag | quote }}
app.kubernetes.io/part-of: retail
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "retail.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "retail.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* TOML of {section: {key: value}}: toToml would write 5 as 5.0, which is no port. Call with (list "" dict). */}}
{{- define "retail.toml" -}}
{{- $path := first . -}}
{{- $table := last . -}}
{{- range $key, $value := $table }}
{{- if not (kindIs "map" $value) }}
{{ $key }} = {{ include "retail.tomlValue" $value }}
{{- end }}
{{- end }}
{{- range $key, $value := $table }}
{{- if kindIs "map" $value }}
{{- $section := ternary $key (printf "%s.%s" $path $key) (eq $path "") }}

[{{ $section }}]
{{- include "retail.toml" (list $section $value) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "retail.tomlValue" -}}
{{- if kindIs "float64" . -}}
{{- if eq . (floor .) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- else if kindIs "slice" . -}}
[{{- range $i, $item := . }}{{ if $i }}, {{ end }}{{ include "retail.tomlValue" $item }}{{ end }}]
{{- else -}}
{{- toJson . -}}
{{- end -}}
{{- end }}

{{/* Bytes of a quantity such as 2Gi, 512M, 1.5Gi or 1e9. Call with (list "name of the value" quantity). */}}
{{- define "retail.bytes" -}}
{{- $name := first . -}}
{{- $text := kindIs "float64" (last .) | ternary (include "retail.tomlValue" (last .)) (toString (last .)) -}}
{{- $number := regexFind "^[0-9]+(\\.[0-9]+)?" $text -}}
{{- $unit := trimPrefix $number $text -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- if or (eq $number "") (not (hasKey $units $unit)) -}}
{{- fail (printf "%s: %q is not an amount of bytes; write it like 2Gi or 512Mi" $name $text) -}}
{{- end -}}
{{- mulf (float64 $number) (get $units $unit) | floor | int64 -}}
{{- end }}

{{/* The executor's memory pool: memoryFraction of the limit. */}}
{{- define "retail.memoryPool" -}}
{{- $e := .Values.executors -}}
{{- $limit := dig "limits" "memory" "" $e.resources -}}
{{- if not $limit -}}
{{- fail "executors.resources.limits.memory is missing: the memory pool of joins, sorts and sums is executors.memoryFraction of it" -}}
{{- end -}}
{{- $bytes := include "retail.bytes" (list "executors.resources.limits.memory" $limit) -}}
{{- mulf (float64 $bytes) (float64 $e.memoryFraction) | floor | int64 -}}
{{- end }}

{{/* The S3 section that scheduler and executors share. */}}
{{- define "retail.s3Config" -}}
{{- $s3 := .Values.s3 -}}
{{- $section := dict "endpoint" $s3.endpoint "region" $s3.region "path_style" $s3.pathStyle "allow_http" (hasPrefix "http://" $s3.endpoint) -}}
{{- if $s3.existingSecret -}}
{{- $_ := set $section "access_key_id_file" (printf "/etc/retail/secrets/%s/%s" $s3.existingSecret $s3.accessKeyIdKey) -}}
{{- $_ := set $section "secret_access_key_file" (printf "/etc/retail/secrets/%s/%s" $s3.existingSecret $s3.secretAccessKeyKey) -}}
{{- end -}}
{{- toJson $section -}}
{{- end }}

{{/* The settings of traces, none without a collector. Whole numbers are left to the default, 1.0. */}}
{{- define "retail.traceConfig" -}}
{{- $section := dict -}}
{{- if .Values.trace.endpoint -}}
{{- $_ := set $section "endpoint" .Values.trace.endpoint -}}
{{- if lt (float64 .Values.trace.sampleRatio) 1.0 }}{{ $_ := set $section "sample_ratio" .Values.trace.sampleRatio }}{{ end -}}
{{- $section = dict "trace" $section -}}
{{- end -}}
{{- toJson $section -}}
{{- end }}

{{- define "retail.schedulerConfig" -}}
{{- $catalog := dict "name" .Values.catalog.name "warehouse" .Values.catalog.warehouse -}}
{{- if .Values.catalog.existingSecret -}}
{{- $_ := set $catalog "uri_file" (printf "/etc/retail/secrets/%s/%s" .Values.catalog.existingSecret .Values.catalog.uriKey) -}}
{{- else -}}
{{- $_ := set $catalog "uri" "sqlite:///data/catalog.db" -}}
{{- end -}}
{{- $config := dict
  "server" (dict "host" "0.0.0.0" "port" 50050 "admin_port" 50080 "advertise_host" (printf "%s-scheduler" (include "retail.name" .)))
  "catalog" $catalog
  "storage" (dict "s3" (include "retail.s3Config" . | fromJson))
  "jobs" (dict "shutdown_grace_s" .Values.scheduler.shutdownGraceSeconds)
  "log" (dict "level" .Values.log.level "format" .Values.log.format) -}}
{{- include "retail.toml" (list "" (mustMergeOverwrite $config (include "retail.traceConfig" . | fromJson) (deepCopy .Values.scheduler.config))) | trim -}}
{{- end }}

{{- define "retail.executorConfig" -}}
{{- $config := dict
  "server" (dict "host" "0.0.0.0" "flight_port" 50051 "grpc_port" 50052 "admin_port" 50081)
  "scheduler" (dict "url" (printf "http://%s-scheduler:50050" (include "retail.name" .)))
  "resources" (dict "slots" .Values.executors.slots "memory_bytes" (float64 (include "retail.memoryPool" .)) "work_dir" "/data" "drain_grace_s" .Values.executors.drainGraceSeconds)
  "storage" (dict "s3" (include "retail.s3Config" . | fromJson))
  "log" (dict "level" .Values.log.level "format" .Values.log.format) -}}
{{- include "retail.toml" (list "" (mustMergeOverwrite $config (include "retail.traceConfig" . | fromJson) (deepCopy .Values.executors.config))) | trim -}}
{{- end }}

{{- define "retail.operatorConfig" -}}
{{- $config := dict
  "server" (dict "host" "0.0.0.0" "admin_port" 50082)
  "kubernetes" (dict "namespace" .Release.Namespace)
  "leader" (dict "enabled" true "namespace" .Release.Namespace "lease" "retail-operator")
  "log" (dict "level" .Values.log.level "format" .Values.log.format) -}}
{{- include "retail.toml" (list "" (mustMergeOverwrite $config (deepCopy .Values.operator.config))) | trim -}}
{{- end }}

{{/* Secrets that executors mount. */}}
{{- define "retail.executorSecrets" -}}
{{- $names := .Values.executors.extraSecrets -}}
{{- if .Values.s3.existingSecret }}{{ $names = prepend $names .Values.s3.existingSecret }}{{ end -}}
{{- uniq $names | toJson -}}
{{- end }}

{{/* Secrets that the scheduler mounts. */}}
{{- define "retail.schedulerSecrets" -}}
{{- list .Values.catalog.existingSecret .Values.s3.existingSecret | compact | uniq | toJson -}}
{{- end }}

{{/* The port of the S3 endpoint. */}}
{{- define "retail.s3Ports" -}}
{{- if .Values.networkPolicy.s3.ports -}}
{{- toJson .Values.networkPolicy.s3.ports -}}
{{- else if not .Values.s3.endpoint -}}
[443]
{{- else -}}
{{- $host := (urlParse .Values.s3.endpoint).host -}}
{{- if contains ":" $host -}}
[{{ last (splitList ":" $host) }}]
{{- else -}}
[{{ ternary 443 80 (hasPrefix "https://" .Values.s3.endpoint) }}]
{{- end -}}
{{- end -}}
{{- end }}

{{/* What no single value can say; included once, by the scheduler. */}}
{{- define "retail.check" -}}
{{- $v := .Values -}}
{{- if not (regexMatch "^s3://[^/]+(/.*)?$" $v.catalog.warehouse) }}
{{- fail (printf "catalog.warehouse %q is not s3://bucket/prefix: executors run in pods of their own, and none sees a folder of another" $v.catalog.warehouse) }}
{{- end }}
{{- if not (regexMatch "^(http://[^/]+/?)?$" $v.s3.endpoint) }}
{{- fail (printf "s3.endpoint %q is not http://host:port or https://host:port; leave it out for AWS" $v.s3.endpoint) }}
{{- end }}
{{- if not (regexMatch "^(http://[^/:]+:[0-9]+/?)?$" $v.trace.endpoint) }}
{{- fail (printf "trace.endpoint %q is not http://host:port, such as http://collector:4317" $v.trace.endpoint) }}
{{- end }}
{{- if not (regexMatch "^(sha256:[0-9a-f]{64})?$" $v.image.digest) }}
{{- fail (printf "image.digest %q is not sha256: and 64 hexadecimal digits" $v.image.digest) }}
{{- end }}
{{- range $name, $interval := dict "serviceMonitor" $v.monitoring.serviceMonitor.interval "podMonitor" $v.monitoring.podMonitor.interval }}
{{- if not (regexMatch "^[0-9]+(ms|s|m|h)$" $interval) }}
{{- fail (printf "monitoring.%s.interval %q is not a time such as 15s" $name $interval) }}
{{- end }}
{{- end }}
{{- $_ := include "retail.bytes" (list "executors.workVolume.sizeLimit" $v.executors.workVolume.sizeLimit) }}
{{- $_ := include "retail.bytes" (list "scheduler.persistence.size" $v.scheduler.persistence.size) }}
{{- if and $v.scheduler.service.nodePort (eq $v.scheduler.service.type "ClusterIP") }}
{{- fail "scheduler.service.nodePort is of no use with scheduler.service.type=ClusterIP" }}
{{- end }}
{{- $a := $v.executors.autoscaling -}}
{{- if lt (int $a.max) (int $a.min) }}
{{- fail (printf "executors.autoscaling.max (%d) is below executors.autoscaling.min (%d)" (int $a.max) (int $a.min)) }}
{{- end }}
{{- $h := $v.executors.hpa -}}
{{- if lt (int $h.max) (int $h.min) }}
{{- fail (printf "executors.hpa.max (%d) is below executors.hpa.min (%d)" (int $h.max) (int $h.min)) }}
{{- end }}
{{- if and $h.enabled $v.operator.enabled }}
{{- fail "executors.hpa is for a cluster without the operator: set operator.enabled=false, or use executors.autoscaling" }}
{{- end }}
{{- if and $a.enabled (not $v.operator.enabled) }}
{{- fail "executors.autoscaling needs the operator: set operator.enabled=true, or use executors.hpa" }}
{{- end }}
{{- $perSlot := div (int64 (include "retail.memoryPool" .)) (int64 $v.executors.slots) -}}
{{- if lt $perSlot 67108864 }}
{{- fail (printf "too little memory for a task: executors.resources.limits.memory %s × memoryFraction %v / slots %d leaves %d MiB for each slot, and it needs 64. Raise the limit or lower executors.slots" (toString $v.executors.resources.limits.memory) $v.executors.memoryFraction (int $v.executors.slots) (div $perSlot 1048576)) }}
{{- end }}
{{- if and $v.ingress.enabled (or (not $v.ingress.host) (not $v.ingress.tlsSecret)) }}
{{- fail "ingress.host and ingress.tlsSecret are needed with ingress.enabled: gRPC goes through an ingress with TLS only" }}
{{- end }}
{{- if and $v.catalog.existingSecret $v.scheduler.persistence.existingClaim }}
{{- fail "scheduler.persistence.existingClaim is of no use with catalog.existingSecret: the catalog is in PostgreSQL" }}
{{- end }}
{{- if and (not $v.catalog.existingSecret) (not $v.scheduler.persistence.enabled) }}
{{- fail "the catalog would be lost with the scheduler's pod: set catalog.existingSecret (PostgreSQL) or scheduler.persistence.enabled" }}
{{- end }}
{{- range $section, $keys := dict "catalog" (list "uri") "storage.s3" (list "access_key_id" "secret_access_key" "session_token") }}
{{- range $program := list "scheduler" "executors" }}
{{- $table := get $v $program | dig "config" dict }}
{{- range $part := splitList "." $section }}{{ $table = dig $part dict $table }}{{ end }}
{{- range $key := $keys }}
{{- if hasKey $table $key }}
{{- fail (printf "%s.config.%s.%s would put a secret into a ConfigMap: name a Secret with catalog.existingSecret or s3.existingSecret" $program $section $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Egress rules that scheduler and executors share. */}}
{{- define "retail.storeEgress" -}}
{{- $n := .Values.networkPolicy -}}
# The object store.
- {{- if $n.s3.to }}
  to: {{- toYaml $n.s3.to | nindent 4 }}
  {{- end }}
  ports:
    {{- range include "retail.s3Ports" . | fromJsonArray }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- if .Values.trace.endpoint }}
# The OpenTelemetry collector.
- {{- if $n.otlp.to }}
  to: {{- toYaml $n.otlp.to | nindent 4 }}
  {{- end }}
  ports:
    - {port: {{ regexFind "[0-9]+$" (urlParse .Values.trace.endpoint).host }}, protocol: TCP}
{{- end }}
{{- with $n.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end }}
