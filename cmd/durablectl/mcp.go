package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"durable/install/hosts"
	"durable/ipc/client"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// hostFlags are what the commands of mcp have in common.
type hostFlags struct {
	all   bool
	scope string
}

func newMCP(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mcp",
		Short: "Tell assistants' programs about durable",
		Long: `Tell the programs that assistants run in (MCP hosts) about durable: Claude Desktop, Claude Code, Cursor,
VS Code, Windsurf, Codex, Gemini CLI, Zed, Copilot CLI and Cline. Each has a configuration file; this puts an
entry named durable into it, with the path of durable-mcp, and leaves all else in it as it is.`,
		Example: `  durablectl mcp add --all
  durablectl mcp add "Claude Desktop" cursor
  durablectl mcp list`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newMCPList(c), newMCPAdd(c), newMCPRemove(c), newMCPPrint(c))
	return cmd
}

func (f *hostFlags) register(cmd *cobra.Command, c *cli, all string) {
	if all != "" {
		cmd.Flags().BoolVar(&f.all, "all", false, all)
	}
	cmd.Flags().StringVar(&f.scope, "scope", string(hosts.User), "`SCOPE` of the configuration: user, or project (the one of this folder)")
	_ = cmd.RegisterFlagCompletionFunc("scope", cobra.FixedCompletions([]cobra.Completion{"user", "project"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var offers []cobra.Completion
		for _, h := range hosts.All() {
			if all != "" && !contains(args, h.Name) {
				offers = append(offers, cobra.CompletionWithDesc(h.Name, h.Title))
			}
		}
		return offers, cobra.ShellCompDirectiveNoFileComp
	}
}

func contains(list []string, name string) bool {
	for _, s := range list {
		if strings.EqualFold(s, name) {
			return true
		}
	}
	return false
}

func (f *hostFlags) parse() (hosts.Scope, error) {
	switch scope := hosts.Scope(f.scope); scope {
	case hosts.User, hosts.Project:
		return scope, nil
	}
	return "", usage("--scope %s: want user or project", f.scope)
}

// chosen are the hosts named, or, with --all, those that are installed.
func (f *hostFlags) chosen(s hosts.System, scope hosts.Scope, names []string) ([]hosts.Host, error) {
	if f.all {
		if len(names) > 0 {
			return nil, usage("--all and the name of a host exclude each other")
		}
		return installed(s, scope)
	}
	if len(names) == 0 {
		return nil, usage("NAME is missing").WithHint("--all means every host that is installed; durablectl mcp list shows them")
	}
	var found []hosts.Host
	for _, name := range names {
		h, err := hosts.Find(name)
		if err != nil {
			return nil, err
		}
		if scope == hosts.Project && !h.HasProject() {
			return nil, task.Errorf(task.InvalidArgument, "%s reads no configuration of a project", h.Title).WithHint("without --scope project it is the user's")
		}
		found = append(found, h)
	}
	return found, nil
}

func installed(s hosts.System, scope hosts.Scope) ([]hosts.Host, error) {
	var found []hosts.Host
	for _, h := range hosts.All() {
		if h.Installed(s) && (scope == hosts.User || h.HasProject()) {
			found = append(found, h)
		}
	}
	if len(found) == 0 {
		return nil, task.Errorf(task.NotFound, "no MCP host is installed here").
			WithHint("durablectl mcp print NAME shows what to paste into a configuration; durablectl mcp list says which ones were looked for")
	}
	return found, nil
}

// mcpEntry is what hosts are told.
func mcpEntry(ctx context.Context) (hosts.Entry, error) {
	path := serviceProgram(ctx, "durable-mcp")
	if path == "" {
		found, err := client.FindProgram("durable-mcp")
		if err != nil {
			return hosts.Entry{}, err
		}
		if found, err = filepath.Abs(found); err != nil {
			return hosts.Entry{}, err
		}
		path = lasting(found)
	}
	e := hosts.Entry{Command: path, Env: map[string]string{}}
	for _, name := range []string{socket.EnvHome, socket.EnvSocket} {
		if value := os.Getenv(name); value != "" {
			e.Env[name] = value
		}
	}
	return e, nil
}

// serviceProgram is the one that was installed with the service, under the name that an upgrade keeps; "" if there is none.
func serviceProgram(ctx context.Context, name string) string {
	if os.Getenv(socket.EnvHome) != "" {
		return ""
	}
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	for _, system := range []bool{false, true} {
		st, err := statusOf(ctx, system)
		if err != nil || !st.Installed || st.Programs == "" {
			continue
		}
		path := filepath.Join(st.Programs, name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// lasting is another name of the same program that an upgrade keeps: the link to the version in force beside a folder
// of one version, or the one on PATH (a package manager's link).
func lasting(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return path
	}
	name := filepath.Base(path)
	names := []string{filepath.Join(filepath.Dir(filepath.Dir(real)), "current", name)}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.IsAbs(dir) {
			names = append(names, filepath.Join(dir, name))
		}
	}
	for _, other := range names {
		if target, err := filepath.EvalSymlinks(other); err == nil && target == real {
			return other
		}
	}
	return path
}

// system is the machine whose hosts are meant.
func (c *cli) hostSystem() (hosts.System, error) {
	s, err := c.system()
	if err != nil {
		return s, task.Errorf(task.FailedPrecondition, "%w", err)
	}
	return s, nil
}

func newMCPAdd(c *cli) *cobra.Command {
	var f hostFlags
	var w writeFlags
	cmd := &cobra.Command{
		Use:   "add NAME... | --all",
		Short: "Put durable into hosts' configurations",
		Long: `Put an entry named durable into the configuration of the hosts named, or, with --all, of all that are
installed: the absolute path of durable-mcp, and DURABLE_HOME and DURABLE_SOCKET where they are set. What
changes is shown first, and asked about. All else in the file stays byte for byte; what was there before is kept
beside it (NAME.durable-TIME.bak, the last three). A file that cannot be read is left alone. To add it again
changes nothing, or what is not so any more.`,
		Example: `  durablectl mcp add --all
  durablectl mcp add vscode --scope project --dry-run`,
		RunE: do(func(ctx context.Context, args []string) error { return c.mcpWrite(ctx, f, w, args, true) }),
	}
	f.register(cmd, c, "every host that is installed")
	w.register(cmd)
	return cmd
}

func newMCPRemove(c *cli) *cobra.Command {
	var f hostFlags
	var w writeFlags
	cmd := &cobra.Command{
		Use:     "remove NAME... | --all",
		Aliases: []string{"rm"},
		Short:   "Take durable out of hosts' configurations",
		Long: `Take the entry named durable out of the configuration of the hosts named, or, with --all, of all that are
installed. What changes is shown first, and asked about. A file that nobody else has changed since durablectl mcp
add is again what it was, to the byte; one that add has made, and that holds nothing else, is deleted.`,
		RunE: do(func(ctx context.Context, args []string) error { return c.mcpWrite(ctx, f, w, args, false) }),
	}
	f.register(cmd, c, "every host that is installed")
	w.register(cmd)
	return cmd
}
