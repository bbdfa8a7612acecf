package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/doctor"
	"durable/cmd/durablectl/internal/render"
	"durable/install"
	"durable/install/hosts"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// checkup is what doctor prints with --json.
type checkup struct {
	// OK: nothing has failed. There may be warnings.
	OK       bool             `json:"ok"`
	Findings []doctor.Finding `json:"findings"`
}

func newDoctor(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look whether all is well, and say what mends the rest",
		Long: `Look at the programs, the daemon and its service, the socket, the configuration, the store (every page and
record), the disk, the clock, programs that are held without a task, the login shell's environment and the hosts'
configurations, and make a round trip through durable-mcp as a host does. Nothing is changed, and no daemon is
started. Each line says ok, warning or failure, and what mends it.

Exit status: 0 nothing has failed, though there may be warnings; 1 something has.`,
		Args: atMost(0),
		RunE: do(func(ctx context.Context, _ []string) error { return c.doctor(ctx) }),
	}
}

func (c *cli) doctor(ctx context.Context) error {
	paths, err := socket.Find(c.socket)
	if err != nil {
		return err
	}
	var lost error
	tell := func(f doctor.Finding) {
		if !c.json && lost == nil {
			lost = c.write(findingLine(c.draw(), f))
		}
	}
	found := doctor.Run(ctx, doctor.Options{Client: c.connect(c.socket, reachNow), Paths: paths, Hosts: func() ([]doctor.Host, error) { return c.doctorHosts(ctx) }, Service: c.serviceState(paths.System)}, tell)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if lost != nil {
		return lost
	}
	report := checkup{OK: true, Findings: found}
	warnings, failures := 0, 0
	for _, f := range found {
		switch f.Level {
		case doctor.Warning:
			warnings++
		case doctor.Failure:
			failures++
			report.OK = false
		}
	}
	if c.json {
		if err := c.encode(report); err != nil {
			return err
		}
	} else if err := c.write(inSum(warnings, failures)); err != nil {
		return err
	}
	if !report.OK {
		return exit(task.Internal.ExitStatus())
	}
	return nil
}

func inSum(warnings, failures int) string {
	switch {
	case failures == 0 && warnings == 0:
		return "\nall is well\n"
	case failures == 0:
		return fmt.Sprintf("\nnothing has failed; warnings: %d\n", warnings)
	}
	return fmt.Sprintf("\nfailures: %d, warnings: %d\n", failures, warnings)
}

var levelColor = map[doctor.Level]render.Color{doctor.OK: render.Green, doctor.Warning: render.Yellow, doctor.Failure: render.Red}

func findingLine(s render.Screen, f doctor.Finding) string {
	line := s.Paint(levelColor[f.Level], render.Pad(string(f.Level), len(doctor.Warning))) + "  " + render.Pad(f.Check, len("environment")) + "  " + render.Clean(f.Text) + "\n"
	if f.Remedy != "" {
		line += render.Pad("", len(doctor.Warning)+2) + render.Pad("", len("environment")+2) + "-> " + render.Clean(f.Remedy) + "\n"
	}
	return line
}

// doctorHosts are the files of the hosts that are installed.
func (c *cli) doctorHosts(ctx context.Context) ([]doctor.Host, error) {
	states, err := c.hostStates(ctx, hosts.User)
	if err != nil {
		return nil, err
	}
	var list []doctor.Host
	for _, st := range states {
		if st.Installed {
			list = append(list, doctor.Host{Name: st.Host, Title: st.Title, File: st.File, State: st.State, Command: st.Command, Error: st.Error})
		}
	}
	return list, nil
}

// serviceState looks at the user's own service, or at the machine's, where that is the one to talk to or the only one.
func (c *cli) serviceState(system bool) func(context.Context) (doctor.Service, error) {
	return func(ctx context.Context) (doctor.Service, error) {
		st, err := statusOf(ctx, system)
		if !system && (err != nil || !st.Installed) {
			if other, otherErr := statusOf(ctx, true); otherErr == nil && other.Installed {
				st, err = other, nil
			}
		}
		return doctor.Service{
			Manager: st.Manager, Installed: st.Installed, Running: st.Running, AtBoot: st.Enabled, System: st.System, Package: st.Package, Version: st.Version,
			Newer: install.Older(task.Version(), st.Version), Programs: st.Programs,
			Lingers: st.System || st.Linger || st.Manager != "systemd",
		}, err
	}
}

func statusOf(ctx context.Context, system bool) (install.Status, error) {
	s, err := install.New(install.Options{System: system})
	if err != nil {
		return install.Status{}, err
	}
	return s.Status(ctx)
}
