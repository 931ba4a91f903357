{{- define "securebase.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "securebase.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "securebase.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "securebase.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "securebase.selectorLabels" -}}
app.kubernetes.io/name: {{ include "securebase.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "securebase.labels" -}}
{{ include "securebase.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "securebase.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "securebase.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed with serviceAccount.create=false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "securebase.leaseName" -}}
{{- default (include "securebase.fullname" .) .Values.lease.name -}}
{{- end -}}

{{- define "securebase.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The subject of every binding. */}}
{{- define "securebase.subjects" -}}
- kind: ServiceAccount
  name: {{ include "securebase.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{/* Namespaces whose Secrets may be read, as a JSON list in {"in": [...]}; empty = all. The operator's settings decide the same way. */}}
{{- define "securebase.secretNamespaces" -}}
{{- dict "in" (default .Values.watchNamespaces .Values.secretNamespaces) | toJson -}}
{{- end -}}

{{/* What the operator does with its own objects and their outputs, wherever it may serve them. */}}
{{- define "securebase.objectRules" -}}
# kopf lists and watches; `patch` puts the finalizer there and takes it away. `spec` is never written.
- apiGroups: [securebase.io]
  resources: [cacheclusters, cdndistributions, perfalarmsets]
  verbs: [get, list, watch, patch]
- apiGroups: [securebase.io]
  resources: [cacheclusters/status, cdndistributions/status, perfalarmsets/status]
  verbs: [patch]
# Outputs. Read only where one of that name exists already: it must be our own to be written.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [create, get, patch]
# Connection details: `<object>-connection`, which RBAC cannot tell by name from others. Never written where the annotation that proves it ours is missing.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create, get, list, patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}

{{/* Watched by metadata alone, which RBAC cannot tell from a full watch; values are read on use. */}}
{{- define "securebase.secretRules" -}}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch]
{{- end -}}

{{/* A Role in one namespace and its binding. */}}
{{- define "securebase.namespacedRole" -}}
{{- $name := printf "%s-%s" (include "securebase.fullname" .root) .suffix }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ .namespace }}
  labels:
    {{- include "securebase.labels" .root | nindent 4 }}
rules:
  {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ .namespace }}
  labels:
    {{- include "securebase.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}
subjects:
  {{- include "securebase.subjects" .root | nindent 2 }}
{{- end -}}
