{{- define "moorage.labels" -}}
app.kubernetes.io/name: moorage
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What nodes and the migration have in common: who they are, what they may write to, what they are told. */}}
{{- define "moorage.pod" -}}
serviceAccountName: {{ .Release.Name }}
automountServiceAccountToken: false
# A service of the name moorage would make a variable MOORAGE_PORT, which is a setting.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
volumes:
  - name: data
    emptyDir: {}
{{- end }}

{{- define "moorage.container" -}}
name: moorage
image: {{ .Values.image | quote }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
envFrom:
  - secretRef: {name: {{ .Values.secret | quote }}}
env:
  - {name: MOORAGE_PUBLIC_URL, value: {{ .Values.publicUrl | quote }}}
{{- range $name, $value := .Values.settings }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
volumeMounts:
  - {name: data, mountPath: /var/lib/moorage}
{{- end }}
