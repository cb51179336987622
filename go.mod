module github.com/seed-6d9a6c17/tokenvault

go 1.26.0

require (
	github.com/go-jose/go-jose/v4 v4.1.8
	github.com/maypok86/otter/v2 v2.4.0
	github.com/stretchr/testify v1.12.1
	github.com/theory/jsonpath v0.12.0
	golang.org/x/net v0.62.0
	golang.org/x/oauth2 v0.37.0
)

require (
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/text v0.43.0 // indirect
)
