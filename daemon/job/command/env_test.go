package command_test

import "context"

// environment is what a login shell would have.
func environment(env []string) func(context.Context) []string {
	return func(context.Context) []string { return env }
}
