package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/install"
	"durable/ipc/task"
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
	cmd.AddCommand(newServiceInstall(c, &opts), newServiceUpgrade(c, &opts), newServiceUninstall(c, &opts), newServiceStart(c, &opts),
		newServiceStop(c, &opts), newServiceRestart(c, &opts), newServiceStatus(c, &opts), newServiceLogs(c, &opts), newPrintUnit(c, &opts))
	return cmd
}

// installable reports whether the daemon that said info could be a service here.
func installable(ctx context.Context, info task.Info) bool {
	s, err := install.New(install.Options{})
	if err != nil || s.Paths().State != info.Paths.State || os.Geteuid() == 0 {
		return false
	}
	st, err := s.Status(ctx)
	return err == nil && st.Manager != "" && !st.Installed
}

// own returns the service whose daemon said info; nil if it is none of ours to manage.
func (c *cli) own(ctx context.Context, info task.Info) *install.Service {
	if info.Lives != task.LivesService {
		return nil
	}
	for _, system := range []bool{false, true} {
		s, err := c.service(&install.Options{System: system})
		if err != nil || s.Paths().State != info.Paths.State {
			continue
		}
		if st, err := s.Status(ctx); err == nil && st.Running {
			return s
		}
	}
	return nil
}

// service returns the one that opts mean, which tells people what it does.
func (c *cli) service(opts *install.Options) (*install.Service, error) {
	o := *opts
	o.Say = func(format string, args ...any) { c.note("%s", render.Clean(fmt.Sprintf(format, args...))) }
	return install.New(o)
}

// serviceAct makes a command of something that is done to the service.
func (c *cli) serviceAct(opts *install.Options, act func(context.Context, *install.Service) error) func(*cobra.Command, []string) error {
	return do(func(ctx context.Context, _ []string) error {
		s, err := c.service(opts)
		if err != nil {
			return err
		}
		return act(ctx, s)
	})
}

func sourceFlags(cmd *cobra.Command, opts *install.Options) {
	cmd.Flags().StringVar(&opts.From, "from", "", "`folder` of the programs to install (default: this program's own)")
	cmd.Flags().BoolVar(&opts.Downgrade, "downgrade", false, "also a version that is older than the installed one")
	cmd.Flags().BoolVar(&opts.Socket, "socket", false, "systemd holds the socket: no request is lost while the daemon restarts")
}

func newServiceInstall(c *cli, opts *install.Options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "install", Short: "Install the service, start it, and have it start at boot",
		Long: `Copy the programs into a folder of their own, register the service, have it start at boot, and start it.
A daemon that runs already leaves to it; its tasks go on. Over an older version this is an upgrade. If it fails,
what was there before is there again.

With --system (as root) the service is the machine's: jobs run as the user durable, and the members of the group
durable may use it (on macOS _durable; on Windows jobs run as LocalService, and administrators may use it).`,
		Args: atMost(0),
		RunE: c.serviceAct(opts, func(ctx context.Context, s *install.Service) error {
			res, err := s.Install(ctx)
			if err != nil {
				return err
			}
			return c.installed(res)
		}),
	}
	sourceFlags(cmd, opts)
	return cmd
}

func newServiceUpgrade(c *cli, opts *install.Options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "upgrade", Short: "Put this version, or the one in --from, in the place of the installed one",
		Long: `Put this version, or the one in --from, in the place of the installed one, and restart the service. Programs run on
and are found again, jobs go on from where they were. A store of an older schema is copied, then migrated, by the new
daemon. Should that not answer, the version before is in force again.`,
		Args: atMost(0),
		RunE: c.serviceAct(opts, func(ctx context.Context, s *install.Service) error {
			res, err := s.Upgrade(ctx)
			if err != nil {
				return err
			}
			return c.installed(res)
		}),
	}
	sourceFlags(cmd, opts)
	return cmd
}

func (c *cli) installed(res install.Result) error {
	return c.print(res, func(s render.Screen) string {
		text := s.Installed(res)
		if !res.Changed || res.Before != "" {
			return text
		}
		text += "\nnext: "
		if line := onPath(res.Status.System); line != "" {
			text += line + "   # this shell does not find durablectl yet\n      "
		}
		return text + "durablectl status\n"
	})
}

// onPath is what to type for the shell to find the installed programs by name; "": it does.
func onPath(system bool) string {
	s, err := install.New(install.Options{System: system})
	if err != nil || s.Links() == "" {
		return ""
	}
	if _, err := exec.LookPath("durablectl"); err == nil {
		return ""
	}
	if _, err := os.Stat(filepath.Join(s.Links(), "durablectl")); err != nil {
		return ""
	}
	return fmt.Sprintf("export PATH=%q", s.Links()+":$PATH")
}

func newServiceUninstall(c *cli, opts *install.Options) *cobra.Command {
	var purge, yes bool
	cmd := &cobra.Command{
		Use: "uninstall", Short: "Stop the service, end its programs, and remove it",
		Long: `Stop the service, end its programs and remove it. Tasks, logs and the configuration stay: what was interrupted goes on
when a daemon is back. --purge removes the tasks and logs too, after a question.`,
		Args: atMost(0),
		RunE: c.serviceAct(opts, func(ctx context.Context, s *install.Service) error {
			if purge && !yes {
				if err := c.sure("remove all tasks and logs in " + s.Paths().State + "?"); err != nil {
					return err
				}
			}
			kept, err := s.Uninstall(ctx, purge)
			if err != nil {
				return err
			}
			return c.print(kept, func(s render.Screen) string { return s.Uninstalled(kept) })
		}),
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "remove all tasks and logs too")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// sure asks a person.
func (c *cli) sure(question string) error {
	if !c.terminal() {
		return task.Errorf(task.FailedPrecondition, "nobody is there to be asked: %s", question).WithHint("--yes answers it")
	}
	c.note("%s [y/N]", render.Clean(question))
	line, _ := bufio.NewReader(c.in).ReadString('\n') // nothing is no
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return task.Errorf(task.FailedPrecondition, "nothing was done")
	}
	return nil
}

func newServiceStart(c *cli, opts *install.Options) *cobra.Command {
	return &cobra.Command{
		Use: "start", Short: "Start the service", Args: atMost(0),
		RunE: c.serviceAct(opts, func(ctx context.Context, s *install.Service) error {
			if err := s.Start(ctx); err != nil {
				return err
			}
			return c.serviceStatus(ctx, s)
		}),
	}
}

func newServiceRestart(c *cli, opts *install.Options) *cobra.Command {
	return &cobra.Command{
		Use: "restart", Short: "Have the service leave and come back; its tasks go on", Args: atMost(0),
		RunE: c.serviceAct(opts, func(ctx context.Context, s *install.Service) error {
			if err := s.Restart(ctx); err != nil {
				return err
			}
			return c.serviceStatus(ctx, s)
		}),
	}
}

func newServiceStop(c *cli, opts *install.Options) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "stop", Short: "Stop the service; it stays stopped until service start, or a reboot",
		Long: `Stop the service. It stays stopped until service start, or a reboot: no other program starts the daemon meanwhile.
Programs run on and are found again; with --all they end, and start anew with the service.`,
		Args: atMost(0),
		RunE: c.serviceAct(opts, func(ctx context.Context, s *install.Service) error {
			if err := s.Stop(ctx, all); err != nil {
				return err
			}
			return c.serviceStatus(ctx, s)
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "end the programs too")
	return cmd
}

func newServiceLogs(c *cli, opts *install.Options) *cobra.Command {
	var (
		lines  int
		follow bool
	)
	cmd := &cobra.Command{
		Use: "logs", Short: "Print the service's own log", Args: atMost(0),
		RunE: c.serviceAct(opts, func(ctx context.Context, s *install.Service) error {
			command, file := s.Logs(lines, follow)
			if command == nil {
				return c.tail(ctx, file, lines, follow)
			}
			program := exec.CommandContext(ctx, command[0], command[1:]...)
			program.Stdout, program.Stderr = c.out, c.err
			if err := program.Run(); err != nil && ctx.Err() == nil {
				return task.Errorf(task.Internal, "%s: %w", command[0], err)
			}
			return nil
		}),
	}
	cmd.Flags().IntVarP(&lines, "lines", "n", 100, "how many lines")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on printing what comes")
	return cmd
}

// tail prints the end of a file, and what comes.
func (c *cli) tail(ctx context.Context, path string, lines int, follow bool) error {
	f, err := os.Open(path)
	if err != nil {
		return task.Errorf(task.NotFound, "the service's log: %w", err).WithHint("durablectl service status")
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(f)
	if err != nil {
		return task.Errorf(task.Internal, "read %s: %w", path, err)
	}
	all := strings.SplitAfter(string(data), "\n")
	for {
		if err := c.write(strings.Join(all[max(0, len(all)-1-lines):], "")); err != nil || !follow {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(tailPause):
		}
		if data, err = io.ReadAll(f); err != nil {
			return task.Errorf(task.Internal, "read %s: %w", path, err)
		}
		all, lines = []string{string(data), ""}, 1
	}
}

// tailPause is the time between two looks at a log that nobody tells of.
const tailPause = 500 * time.Millisecond

func newServiceStatus(c *cli, opts *install.Options) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show whether the service is installed and runs", Args: atMost(0),
		RunE: c.serviceAct(opts, c.serviceStatus),
	}
}

func (c *cli) serviceStatus(ctx context.Context, s *install.Service) error {
	st, err := s.Status(ctx)
	if err != nil {
		return err
	}
	return c.print(st, func(s render.Screen) string { return s.Service(st) })
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
			_, text, _ = strings.Cut(text, "\n") // the first line says that we look after the file
			return c.write(text)
		}),
	}
	cmd.Flags().StringVar(&path, "path", "/usr/bin/durabled", "`path` of durabled")
	return cmd
}
