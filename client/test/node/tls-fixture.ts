/** A self-signed certificate of `relay.test`, good for a hundred years, and its key: for tests only. */

export const tlsName = 'relay.test'

export const tlsCertificate = `-----BEGIN CERTIFICATE-----
MIIBmTCCAT6gAwIBAgIUaXXZPJGtZGbHzGspScxQnY3ww98wCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKcmVsYXkudGVzdDAgFw0yNjExMjIwNjM5NTFaGA8yMTI2MTAy
OTA2Mzk1MVowFTETMBEGA1UEAwwKcmVsYXkudGVzdDBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABNn/LCFsQYKkZaO3aG0dSNNnFifyTaJGc6XNAP6hjjPFc3lWdFVK
juPmihiXlwcN8QL4wmOC37AwzpgmQhJw/emjajBoMB0GA1UdDgQWBBSQw5GXesWS
b8Xl+hmqRMpXOl4AxzAfBgNVHSMEGDAWgBSQw5GXesWSb8Xl+hmqRMpXOl4AxzAP
BgNVHRMBAf8EBTADAQH/MBUGA1UdEQQOMAyCCnJlbGF5LnRlc3QwCgYIKoZIzj0E
AwIDSQAwRgIhAOPo71SCa/jJkjYk5nRhyHxARiDI5UicpKqxV+L0PbFpAiEAlSxl
eRf2Tu5F81KKcKhu//dyN78tnPnC04Zrbm9hAVE=
-----END CERTIFICATE-----
`

export const tlsKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg59jqUui8oUW7Dhv8
93HhVrmwyy1n2/lKgVnvq9gx/i+hRANCAATZ/ywhbEGCpGWjt2htHUjTZxYn8k2i
RnOlzQD+oY4zxXN5VnRVSo7j5ooYl5cHDfEC+MJjgt+wMM6YJkIScP3p
-----END PRIVATE KEY-----
`
