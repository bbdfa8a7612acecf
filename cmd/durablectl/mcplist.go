package main

import (
	"context"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/install/hosts"
)

// hostState is what --json prints of a host's file.
type hostState struct {
	Host      string `json:"host"`
	Title     string `json:"title"`
	Installed bool   `json:"installed"`
	Scope     string `json:"scope"`
	File      string `json:"file"`
	// State is yes, no, other (an entry named durable starts another program), or unreadable.
	State   string `json:"state"`
	Command string `json:"command,omitempty"`
	Error   string `json:"error,omitempty"`
}

func newMCPList(c *cli) *cobra.Command {
	var f hostFlags
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the hosts, and which of them know durable",
		Args:    atMost(0),
		RunE: do(func(ctx context.Context, _ []string) error {
			scope, err := f.parse()
			if err != nil {
				return err
			}
			states, err := c.hostStates(ctx, scope)
			if err != nil {
				return err
			}
			return c.print(states, func(s render.Screen) string { return hostTable(states).Render(s) })
		}),
	}
	f.register(cmd, c, "")
	return cmd
}

// hostStates looks at every file of every host.
func (c *cli) hostStates(ctx context.Context, scope hosts.Scope) ([]hostState, error) {
	s, err := c.hostSystem()
	if err != nil {
		return nil, err
	}
	want, _ := mcpEntry(ctx) // without one, none is as it should be
	states := []hostState{}
	for _, h := range hosts.All() {
		for _, file := range h.Files(s, scope) {
			st := hostState{Host: h.Name, Title: h.Title, Installed: h.Installed(s), Scope: string(scope), File: file.Path, State: "no"}
			switch got, err := hosts.Look(h, file); {
			case err != nil:
				st.State, st.Error = "unreadable", err.Error()
			case got != nil:
				st.State, st.Command = "yes", got.Command
				if !got.Same(want) {
					st.State = "other"
				}
			}
			states = append(states, st)
		}
	}
	return states, nil
}

func hostTable(states []hostState) *render.Table {
	t := &render.Table{Titles: true, Columns: []render.Column{
		{Title: "NAME"}, {Title: "HOST"}, {Title: "INSTALLED"}, {Title: "DURABLE"}, {Title: "FILE", Min: 12},
	}}
	for _, st := range states {
		there, color := "no", render.Faint
		if st.Installed {
			there, color = "yes", render.None
		}
		state := render.Cell{Text: st.State, Color: color}
		switch st.State {
		case "yes":
			state.Color = render.Green
		case "other", "unreadable":
			state.Color = render.Yellow
		}
		t.Row(render.Cell{Text: st.Host, Color: color}, render.Cell{Text: st.Title, Color: color}, render.Cell{Text: there, Color: color},
			state, render.Cell{Text: st.File, Color: render.Faint})
	}
	return t
}

// hostSnippet is what --json prints of an entry.
type hostSnippet struct {
	Host    string `json:"host"`
	Title   string `json:"title"`
	File    string `json:"file"`
	Snippet string `json:"snippet"`
}

func newMCPPrint(c *cli) *cobra.Command {
	var f hostFlags
	cmd := &cobra.Command{
		Use:   "print NAME... | --all",
		Short: "Print the entry, to paste it yourself",
		Long: `Print the entry as each host wants it, and say where it belongs. For a host that is not in the list,
claude-desktop's is the usual form.`,
		Example: "  durablectl mcp print cursor",
		RunE: do(func(ctx context.Context, names []string) error {
			snippets, err := c.snippets(ctx, f, names)
			if err != nil {
				return err
			}
			if c.json {
				return c.encode(snippets)
			}
			for _, p := range snippets {
				c.note("%s: %s", p.Title, render.Clean(p.File))
				if err := c.write(p.Snippet); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	f.register(cmd, c, "every host that is installed")
	return cmd
}

func (c *cli) snippets(ctx context.Context, f hostFlags, names []string) ([]hostSnippet, error) {
	s, err := c.hostSystem()
	if err != nil {
		return nil, err
	}
	scope, err := f.parse()
	if err != nil {
		return nil, err
	}
	chosen, err := f.chosen(s, scope, names)
	if err != nil {
		return nil, err
	}
	entry, err := mcpEntry(ctx)
	if err != nil {
		return nil, err
	}
	var snippets []hostSnippet
	for _, h := range chosen {
		snippets = append(snippets, hostSnippet{h.Name, h.Title, h.Files(s, scope)[0].Path, h.Snippet(entry)})
	}
	return snippets, nil
}
