//go:build tools

// Package tools pins the version of h2spec that run.sh builds.
package tools

import _ "github.com/summerwind/h2spec/cmd/h2spec"
