package main

import (
	"github.com/spf13/cobra"

	"durable/cmd/internal/manpage"
)

// newMan is for those who build packages.
func newMan() *cobra.Command {
	return manpage.Command("1", func() *cobra.Command {
		c := newCLI()
		c.kinds = nil // those of whoever builds
		return newRoot(c)
	})
}
