package main

import (
	"context"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/socket"
	"durable/ipc/token"
)

// tokenPage is what --json prints.
type tokenPage struct {
	Token string `json:"token"`
	File  string `json:"file"`
}

func newToken(c *cli) *cobra.Command {
	var renew bool
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Print the token that clients of the HTTP address send",
		Long: `Print the token that clients send to the address of durabled run --http (or of [http] in the
configuration): Authorization: Bearer TOKEN. It is made at first use, and lies in the state folder,
readable by you alone. The daemon need not run. With --new, another one takes its place, at once:
whoever has the old one is shut out.`,
		Example: `  claude mcp add --transport http durable http://127.0.0.1:8080/mcp \
    --header "Authorization: Bearer $(durablectl token)"`,
		Args: atMost(0),
		RunE: do(func(ctx context.Context, _ []string) error {
			path, err := c.tokenPath(ctx)
			if err != nil {
				return err
			}
			get := token.Ensure
			if renew {
				get = token.Renew
			}
			word, err := get(path)
			if err != nil {
				return err
			}
			return c.print(tokenPage{word, path}, func(render.Screen) string { return word + "\n" })
		}),
	}
	cmd.Flags().BoolVar(&renew, "new", false, "make another one: the old one is no longer let in")
	return cmd
}

// tokenPath is in the state folder of the daemon that answers, or else of the one that would.
func (c *cli) tokenPath(ctx context.Context) (string, error) {
	if info, err := c.svc.Info(ctx); err == nil && info.Paths.State != "" {
		return token.Path(info.Paths.State), nil
	}
	paths, err := socket.Find(c.socket)
	if err != nil {
		return "", err
	}
	return token.Path(paths.State), nil
}
