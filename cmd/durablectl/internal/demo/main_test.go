package demo

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"durable/cmd/durablectl/internal/sandbox/sandboxtest"
)

// bin is the folder of the programs.
var bin string

func TestMain(m *testing.M) {
	dir, remove, err := sandboxtest.Build()
	if err != nil {
		panic(err)
	}
	bin = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		remove()
		os.Exit(status)
	}))
}
