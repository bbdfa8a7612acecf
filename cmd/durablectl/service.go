package main

import (
	"context"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/install"
)

func newService(c *cli) *cobra.Command {
	var opts install.Options
	cmd := &cobra.Command{
		Use:   "service",
		Short: "Have the daemon start at boot: install, upgrade, start, stop, remove it",
		Args:  noCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().BoolVar(&opts.System, "system", false, "the machine's service, under a user of its own, instead of yours")
	cmd.AddCommand(newServiceStatus(c, &opts), newPrintUnit(c, &opts))
	return cmd
}

func newServiceStatus(c *cli, opts *install.Options) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show whether the service is installed and runs", Args: atMost(0),
		RunE: do(func(ctx context.Context, _ []string) error {
			s, err := install.New(*opts)
			if err != nil {
				return err
			}
			st, err := s.Status(ctx)
			if err != nil {
				return err
			}
			return c.print(st, func(s render.Screen) string { return s.Service(st) })
		}),
	}
}

// newPrintUnit is for those who make packages.
func newPrintUnit(c *cli, opts *install.Options) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use: "print-unit", Hidden: true, Short: "Print the unit of systemd", Args: atMost(0),
		RunE: do(func(context.Context, []string) error {
			text, err := install.Unit(path, opts.System, false)
			if err != nil {
				return err
			}
			return c.write(text)
		}),
	}
	cmd.Flags().StringVar(&path, "path", "/usr/bin/durabled", "`path` of durabled")
	return cmd
}
