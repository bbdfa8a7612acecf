package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"durable/daemon/config"
	"durable/daemon/environ"
	"durable/ipc/socket"
	"durable/ipc/task"
)

func numbered(t task.Task) string { return strconv.FormatUint(t.Number, 10) }

// environment: that the login shell says what programs find in a terminal.
func (v *visit) environment(context.Context) []Finding {
	cfg, err := config.Load(v.Paths.Config)
	if err != nil {
		cfg = &config.Config{} // that is another line
	}
	env := environ.New(environ.Options{})
	defer env.Close()
	began := time.Now()
	env.Load(cfg.Environment)
	n := len(env.Base())
	if warnings := env.Warnings(); len(warnings) > 0 {
		return one(warning("look at your shell's profile; or [environment] source = \"daemon\" in "+v.Paths.Config, "%s", strings.Join(warnings, "; ")))
	}
	return one(ok("%d variables in %s", n, time.Since(began).Round(10*time.Millisecond)))
}

// hosts: that the programs of assistants know durable.
func (v *visit) hosts(context.Context) []Finding {
	list, err := v.Hosts()
	if err != nil {
		return one(failed(err, "durablectl mcp list"))
	}
	if len(list) == 0 {
		return one(ok("no MCP host is installed here"))
	}
	var found []Finding
	var know, without []string
	last := ""
	for _, h := range list {
		add := "durablectl mcp add " + h.Name
		switch h.State {
		case "yes":
			know = append(know, h.Title)
		case "unreadable":
			found = append(found, failure("mend it; durablectl mcp print "+h.Name+" shows what belongs there", "%s: %s", h.Title, h.Error))
		case "other":
			level := warning
			if _, err := os.Stat(h.Command); h.Command != "" && err != nil {
				level = failure
			}
			found = append(found, level(add, "%s starts %s for durable", h.Title, or(h.Command, "no program")))
		default:
			without, last = append(without, h.Title), add
		}
	}
	switch len(without) {
	case 0:
	case 1:
		found = append(found, warning(last, "%s does not know durable", without[0]))
	default:
		found = append(found, warning("durablectl mcp add --all", "%s do not know durable", strings.Join(slices.Compact(without), ", ")))
	}
	if len(know) > 0 {
		found = append([]Finding{ok("durable is known to %s", strings.Join(slices.Compact(know), ", "))}, found...)
	}
	return found
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// roundTrip does what a host does: starts durable-mcp, says hello, lists the tools, and calls one that only reads.
func (v *visit) roundTrip(ctx context.Context) []Finding {
	path, err := v.Find("durable-mcp")
	if err != nil {
		return one(failed(err, ""))
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var stderr strings.Builder
	cmd := exec.Command(path)
	cmd.Env, cmd.Stderr = v.hostEnv(), &stderr
	text, err := v.converse(ctx, cmd)
	if err != nil {
		return one(failure("durablectl mcp print claude-desktop shows how hosts start it; try that by hand", "%s: %v %s", path, err, strings.TrimSpace(stderr.String())))
	}
	return one(ok("%s", text))
}

// hostEnv is what hosts leave of the environment, and that nothing is to be started.
func (v *visit) hostEnv() []string {
	env := []string{"DURABLE_AUTOSTART=0"}
	keep := []string{"HOME", "PATH", "USER", "LOGNAME", socket.EnvHome, socket.EnvSocket}
	if runtime.GOOS == "windows" {
		keep = append(keep, "USERPROFILE", "SYSTEMROOT", "APPDATA", "LOCALAPPDATA", "TEMP", "USERNAME")
	}
	for _, name := range keep {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func (v *visit) converse(ctx context.Context, cmd *exec.Cmd) (string, error) {
	began := time.Now()
	session, err := mcp.NewClient(&mcp.Implementation{Name: "durablectl-doctor", Version: task.Version()}, nil).
		Connect(ctx, &mcp.CommandTransport{Command: cmd}, nil)
	if err != nil {
		return "", fmt.Errorf("initialize: %w", err)
	}
	defer func() { _ = session.Close() }()
	tools, err := session.ListTools(ctx, nil)
	if err != nil {
		return "", fmt.Errorf("tools/list: %w", err)
	}
	said := fmt.Sprintf("durable-mcp has %d tools", len(tools.Tools))
	if v.info == nil {
		return said + "; none was called, as no daemon runs", nil
	}
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "get_server_stats"})
	if err != nil {
		return "", fmt.Errorf("get_server_stats: %w", err)
	}
	if result.IsError {
		text, _ := json.Marshal(result.Content)
		return "", fmt.Errorf("get_server_stats: %s", text)
	}
	return fmt.Sprintf("%s; get_server_stats answered; %s in all", said, time.Since(began).Round(time.Millisecond)), nil
}
