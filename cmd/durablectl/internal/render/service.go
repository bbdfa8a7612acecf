package render

import (
	"fmt"
	"strings"

	"durable/install"
)

// Service tells how the daemon is doing as a service.
func (s Screen) Service(st install.Status) string {
	if st.Manager == "" {
		return "there is no service manager here that durable knows\n"
	}
	scope, flag := "yours", ""
	if st.System {
		scope, flag = "the system's", " --system"
	}
	if !st.Installed {
		return fmt.Sprintf("not installed (%s, %s)\n\nnext: durablectl service install%s\n", st.Manager, scope, flag)
	}
	var b strings.Builder
	word := "stopped"
	if st.Running {
		word = "running"
	}
	fmt.Fprintf(&b, "%s, %s\n", s.Paint(Bold, "service "+word), begins(st))
	fields := []Field{{"manager", st.Manager + " (" + scope + ")"}}
	if st.State != "" {
		fields = append(fields, Field{"state", st.State})
	}
	if st.PID > 0 {
		fields = append(fields, Field{"pid", fmt.Sprint(st.PID)})
	}
	if st.Version != "" {
		fields = append(fields, Field{"version", st.Version}, Field{"programs", st.Programs})
	}
	fields = append(fields, Field{"registered", st.Unit})
	if st.Socket {
		fields = append(fields, Field{"socket", "held by " + st.Manager})
	}
	b.WriteString(s.fields(fields, 0))
	next := "durablectl status"
	if !st.Running {
		next = "durablectl service start" + flag
	}
	b.WriteString("\nnext: " + next + "\n")
	return b.String()
}

// begins says when a service starts by itself.
func begins(st install.Status) string {
	switch {
	case st.AtBoot():
		return "starts at boot"
	case st.Enabled:
		return "starts when you log in"
	}
	return "does not start by itself"
}

// Installed tells what an install or an upgrade came to.
func (s Screen) Installed(r install.Result) string {
	version := Clean(r.Version)
	switch {
	case !r.Changed:
		return fmt.Sprintf("durable %s is installed and runs already\n", version)
	case r.Before != "" && r.Before != r.Version:
		return fmt.Sprintf("durable %s runs in the place of %s; %s\n", version, Clean(r.Before), begins(r.Status))
	}
	return fmt.Sprintf("durable %s is installed and runs; %s\nprograms: %s\n", version, begins(r.Status), Clean(r.Programs))
}

// Uninstalled tells what is left.
func (s Screen) Uninstalled(k install.Kept) string {
	text := "the service is removed; tasks and logs are gone\n"
	if !k.Purged {
		text = "the service is removed; tasks and logs stay in " + Clean(k.State) + "\n"
	}
	text += "the configuration, if there is one, stays: " + Clean(k.Config) + "\n"
	if k.User != "" {
		text += "so do the user and the group " + Clean(k.User) + "\n"
	}
	return text
}
