package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/socket"
	"durable/ipc/task"
)

// policies are the words of the policy, and what each means.
var policies = map[string]string{
	"allow": "whatever an MCP host asks for runs",
	"ask":   "you are asked about what an MCP host would run, unless it was allowed always",
	"list":  "an MCP host runs only the programs and folders listed in the file",
	"deny":  "an MCP host runs no programs",
}

var policyWords = []string{"allow", "ask", "list", "deny"}

// policyShown is what show prints with --json.
type policyShown struct {
	File string `json:"file"`
	// Commands is empty where the file says nothing.
	Commands string `json:"commands"`
}

func newPolicy(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "policy [allow|ask|list|deny|show]",
		Short: "Say what MCP hosts may run",
		Long: `Say what becomes of a task that an MCP host starts and that would run a program or overwrite a file:
allow it, ask you (which is so without a setting), allow only what is listed, or deny it. What you
start with durablectl is yours and not asked about. The setting is the line commands of [policy] in
the configuration file, which the daemon reads again at once.

To change it takes a terminal, and is refused inside a task: this is a person's decision.`,
		Args:      atMost(1),
		ValidArgs: append(slices.Clone(policyWords), "show"),
		RunE: do(func(ctx context.Context, args []string) error {
			file, err := c.configFile(ctx)
			if err != nil {
				return err
			}
			if len(args) == 0 || args[0] == "show" {
				if err := c.showPolicy(file); err != nil {
					return err
				}
				if list := c.approvals(ctx); list != "" {
					c.note("approved always: see %s; to take a yes back, delete its entry, then durablectl reload", render.Clean(list))
				}
				return nil
			}
			if !slices.Contains(policyWords, args[0]) {
				return usage("policy %q: want one of %s, show", args[0], strings.Join(policyWords, ", "))
			}
			if err := c.person("policy"); err != nil {
				return err
			}
			return c.setPolicy(ctx, file, args[0])
		}),
	}
}

// configFile is the daemon's configuration, or where it would be.
func (c *cli) configFile(ctx context.Context) (string, error) {
	info, err := c.svc.Info(ctx)
	if err == nil && info.Paths.Config != "" {
		return info.Paths.Config, nil
	}
	if err != nil && !unreachable(err) {
		return "", err
	}
	p, err := socket.Find(c.socket)
	return p.Config, err
}

func (c *cli) showPolicy(file string) error {
	text, err := readConfig(file)
	if err != nil {
		return err
	}
	shown := policyShown{File: file}
	if shown.Commands, err = policyOf(text); err != nil {
		return task.Errorf(task.FailedPrecondition, "%s: %w", file, err)
	}
	return c.print(shown, func(render.Screen) string {
		if shown.Commands == "" {
			return fmt.Sprintf("not set in %s, which means ask: you are asked about what an MCP host would run\n", render.Clean(file))
		}
		return fmt.Sprintf("%s: %s (%s)\n", shown.Commands, policies[shown.Commands], render.Clean(file))
	})
}

// approvals is the list of what was approved for good, "" where there is none yet.
func (c *cli) approvals(ctx context.Context) string {
	info, err := c.svc.Info(ctx)
	if err != nil {
		return ""
	}
	file := filepath.Join(info.Paths.State, "approved.json")
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	return file
}

// setPolicy writes the file and has the daemon read it. A daemon that is not there reads it when it starts.
func (c *cli) setPolicy(ctx context.Context, file, word string) error {
	before, err := readConfig(file)
	if err != nil {
		return err
	}
	after, err := withPolicy(before, word)
	if err != nil {
		return task.Errorf(task.FailedPrecondition, "%s: %w", file, err).WithHint("edit it by hand: [policy], commands = %q; then durablectl reload", word)
	}
	if err := replaceConfig(file, after); err != nil {
		return task.Errorf(task.FailedPrecondition, "%w", err)
	}
	done := fmt.Sprintf("commands = %q in %s: %s", word, render.Clean(file), policies[word])
	switch _, err := c.svc.Reload(ctx); {
	case unreachable(err):
		c.note("no daemon runs: it reads the file when it starts")
	case err != nil:
		c.note("%s", done)
		return err
	}
	return c.print(policyShown{file, word}, func(render.Screen) string { return done + "\n" })
}

// readConfig returns the file's text; one that is not there is empty.
func readConfig(file string) (string, error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", task.Errorf(task.FailedPrecondition, "%w", err)
	}
	return string(raw), nil
}

// policyOf is what a configuration says of commands; empty: nothing.
func policyOf(text string) (string, error) {
	var config struct {
		Policy struct {
			Commands string `toml:"commands"`
		} `toml:"policy"`
	}
	err := toml.Unmarshal([]byte(text), &config)
	return config.Policy.Commands, err
}

var (
	tableLine    = regexp.MustCompile(`^\s*\[`)
	policyLine   = regexp.MustCompile(`^\s*\[\s*policy\s*\]\s*(#.*)?$`)
	commandsLine = regexp.MustCompile(`^(\s*)commands\s*=\s*("[^"]*"|'[^']*')(\s*(?:#.*)?)$`)
)

// withPolicy is text with the setting, and all else as a person wrote it: comments, order, blanks. It works on lines,
// and what it made is read again as TOML: where the two disagree (the setting was written in another way), it is an error.
func withPolicy(text, word string) (string, error) {
	if _, err := policyOf(text); err != nil {
		return "", err // what cannot be read is not written to
	}
	setting := fmt.Sprintf("commands = %q", word)
	newline := "\n"
	if strings.Contains(text, "\r\n") {
		newline = "\r\n"
	}
	lines := strings.Split(strings.TrimSuffix(text, newline), newline)
	if text == "" {
		lines = nil
	}
	at, inside, done := -1, false, false
	for i, line := range lines {
		switch {
		case policyLine.MatchString(line):
			inside, at = true, i
		case tableLine.MatchString(line):
			inside = false
		case inside && !done && commandsLine.MatchString(line):
			lines[i] = commandsLine.ReplaceAllString(line, "${1}"+setting+"${3}")
			done = true
		}
	}
	switch {
	case done:
	case at >= 0:
		lines = slices.Insert(lines, at+1, setting)
	case len(lines) > 0:
		lines = append(lines, "", "[policy]", setting)
	default:
		lines = []string{"[policy]", setting}
	}
	after := strings.Join(lines, newline) + newline
	if got, err := policyOf(after); err != nil || got != word {
		return "", errors.New("the setting is written in a way that this command does not change")
	}
	return after, nil
}

// replaceConfig writes file in one step. A symbolic link stays one: people keep configurations elsewhere.
func replaceConfig(file, text string) error {
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(file); err == nil {
		mode = info.Mode().Perm()
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return replaceFile(file, mode, strings.NewReader(text))
}
