{{/* One profile: the node with the most GPUs in use first. files/scheduler-profile.yaml is made by `make crds`. */}}
{{- define "atoll.schedulerConfiguration" -}}
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection:
  leaderElect: true
  resourceName: {{ include "atoll.fullname" . }}-scheduler
  resourceNamespace: {{ .Release.Namespace }}
profiles:
  - {{- .Files.Get "files/scheduler-profile.yaml" | fromYaml | toYaml | nindent 4 }}
{{- end }}
