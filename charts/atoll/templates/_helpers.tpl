{{/* Name of the chart, as a label. */}}
{{- define "atoll.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* Beginning of every object's name; room is left for suffixes. */}}
{{- define "atoll.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "atoll.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "atoll.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.create is false: serviceAccount.name must name the ServiceAccount to use" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Labels of every object of the chart. */}}
{{- define "atoll.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "atoll.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: atoll
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels that select the pods of one component; call with (dict "root" . "component" NAME). */}}
{{- define "atoll.selectorLabels" -}}
app.kubernetes.io/name: {{ include "atoll.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Labels that the operator puts on router pods. */}}
{{- define "atoll.routerLabels" -}}
app.kubernetes.io/managed-by: atoll
app.kubernetes.io/component: router
{{- end }}

{{/* Reference of an image; call with (dict "root" . "image" VALUES "tag" DEFAULT). */}}
{{- define "atoll.image" -}}
{{- $registry := default .image.registry .root.Values.global.imageRegistry }}
{{- $repository := ternary (printf "%s/%s" $registry .image.repository) .image.repository (ne $registry "") }}
{{- if .image.digest }}
{{- printf "%s@%s" $repository .image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default .tag .image.tag) }}
{{- end }}
{{- end }}

{{/* Spread over zones and nodes, where that can be had; call with (dict "root" . "component" NAME). */}}
{{- define "atoll.spread" -}}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "atoll.selectorLabels" $ | nindent 6 }}
{{- end }}
{{- end }}

{{/* A token of one hour where libraries look for it, instead of one that Kubernetes mounts by itself. */}}
{{- define "atoll.tokenVolume" -}}
- name: token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3600
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
      - downwardAPI:
          items:
            - path: namespace
              fieldRef:
                fieldPath: metadata.namespace
{{- end }}

{{/* What the router's pods are to be, as the operator reads it. */}}
{{- define "atoll.routerWorkload" -}}
{{- $router := .Values.router }}
{{- $image := include "atoll.image" (dict "root" . "image" $router.image "tag" "") }}
{{- dict
  "image" $image
  "replicas" $router.replicas
  "autoscaled" $router.autoscaling.enabled
  "imagePullSecrets" .Values.global.imagePullSecrets
  "podAnnotations" $router.podAnnotations
  "podLabels" $router.podLabels
  "nodeSelector" $router.nodeSelector
  "tolerations" $router.tolerations
  "affinity" $router.affinity
  "priorityClassName" $router.priorityClassName
  "serviceType" $router.service.type
  "serviceAnnotations" $router.service.annotations
| toJson }}
{{- end }}
