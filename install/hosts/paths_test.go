package hosts_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"durable/install/hosts"
)

// system is a machine with that home, and nothing on PATH but programs.
func system(goos, home string, env map[string]string, programs ...string) hosts.System {
	return hosts.System{
		GOOS: goos, Home: home, Dir: filepath.Join(home, "project"),
		Getenv: func(name string) string { return env[name] },
		LookPath: func(name string) (string, error) {
			if slices.Contains(programs, name) {
				return "/usr/bin/" + name, nil
			}
			return "", exec.ErrNotFound
		},
	}
}

// TestPaths: where each host's first file is on a machine that has no host.
func TestPaths(t *testing.T) {
	const mac, appdata = "Library/Application Support/", "AppData/Roaming/"
	want := map[string][3]string{ // Linux, macOS, Windows
		"claude-desktop": {".config/Claude/claude_desktop_config.json", mac + "Claude/claude_desktop_config.json", appdata + "Claude/claude_desktop_config.json"},
		"claude-code":    {".claude.json", ".claude.json", ".claude.json"},
		"cursor":         {".cursor/mcp.json", ".cursor/mcp.json", ".cursor/mcp.json"},
		"vscode":         {".config/Code/User/mcp.json", mac + "Code/User/mcp.json", appdata + "Code/User/mcp.json"},
		"windsurf":       {".codeium/windsurf/mcp_config.json", ".codeium/windsurf/mcp_config.json", ".codeium/windsurf/mcp_config.json"},
		"codex":          {".codex/config.toml", ".codex/config.toml", ".codex/config.toml"},
		"gemini-cli":     {".gemini/settings.json", ".gemini/settings.json", ".gemini/settings.json"},
		"zed":            {".config/zed/settings.json", ".config/zed/settings.json", appdata + "Zed/settings.json"},
		"copilot-cli":    {".copilot/mcp-config.json", ".copilot/mcp-config.json", ".copilot/mcp-config.json"},
		"cline": {
			".config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
			mac + "Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
			appdata + "Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
		},
	}
	home := t.TempDir()
	for i, goos := range []string{"linux", "darwin", "windows"} {
		s := system(goos, home, nil)
		got := map[string]string{}
		for _, h := range hosts.All() {
			if h.Installed(s) {
				t.Errorf("%s: %s is installed in an empty home", goos, h.Name)
			}
			got[h.Name] = relative(t, home, h.Files(s, hosts.User))[0]
		}
		for name, paths := range want {
			if got[name] != paths[i] {
				t.Errorf("%s: %s has %s, want %s", goos, name, got[name], paths[i])
			}
			delete(got, name)
		}
		if len(got) > 0 {
			t.Errorf("%s: not looked at: %v", goos, got)
		}
	}
}

func relative(t *testing.T, home string, files []hosts.File) []string {
	t.Helper()
	var paths []string
	for _, f := range files {
		rel, err := filepath.Rel(home, f.Path)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, filepath.ToSlash(rel))
	}
	return paths
}

// TestPlaces: the files of a host that has several variants, those that are there; and the variables that move them.
func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		name, host, goos string
		there            []string          // folders
		env              map[string]string // ~ is the home
		want             []string
	}{
		{name: "Claude Desktop by the old installer", host: "claude-desktop", goos: "windows", there: []string{"AppData/Roaming/Claude"},
			want: []string{"AppData/Roaming/Claude/claude_desktop_config.json"}},
		{name: "packaged", host: "claude-desktop", goos: "windows", there: []string{"AppData/Local/Packages/Claude_pzs8sxrjxfjjc"},
			want: []string{"AppData/Local/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude/claude_desktop_config.json"}},
		{name: "both, and the newest", host: "claude-desktop", goos: "windows",
			there: []string{"AppData/Roaming/Claude", "AppData/Local/Packages/Claude_pzs8sxrjxfjjc", "AppData/Local/Claude-Data/claude_pzs8"},
			want: []string{
				"AppData/Roaming/Claude/claude_desktop_config.json",
				"AppData/Local/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude/claude_desktop_config.json",
				"AppData/Local/Claude-Data/claude_pzs8/claude_desktop_config.json",
			}},
		{name: "moved AppData", host: "claude-desktop", goos: "windows", there: []string{"d/roaming/Claude", "d/local/Packages/Claude_x"},
			env: map[string]string{"APPDATA": "~/d/roaming", "LOCALAPPDATA": "~/d/local"},
			want: []string{
				"d/roaming/Claude/claude_desktop_config.json", "d/local/Packages/Claude_x/LocalCache/Roaming/Claude/claude_desktop_config.json",
			}},
		{name: "both VS Codes", host: "vscode", goos: "darwin",
			there: []string{"Library/Application Support/Code", "Library/Application Support/Code - Insiders"},
			want:  []string{"Library/Application Support/Code/User/mcp.json", "Library/Application Support/Code - Insiders/User/mcp.json"}},
		{name: "Insiders alone", host: "vscode", goos: "linux", there: []string{".config/Code - Insiders"},
			want: []string{".config/Code - Insiders/User/mcp.json"}},
		{name: "XDG", host: "vscode", goos: "linux", there: []string{"x/Code"}, env: map[string]string{"XDG_CONFIG_HOME": "~/x"},
			want: []string{"x/Code/User/mcp.json"}},
		{name: "Windsurf and Devin", host: "windsurf", goos: "linux", there: []string{".codeium/windsurf", ".config/devin"},
			want: []string{".codeium/windsurf/mcp_config.json", ".config/devin/mcp_config.json"}},
		{name: "Devin on Windows", host: "windsurf", goos: "windows", there: []string{"AppData/Roaming/devin"},
			want: []string{"AppData/Roaming/devin/mcp_config.json"}},
		{name: "Codex elsewhere", host: "codex", goos: "linux", env: map[string]string{"CODEX_HOME": "~/cx"}, there: []string{"cx"}, want: []string{"cx/config.toml"}},
		{name: "a relative variable is none", host: "codex", goos: "linux", env: map[string]string{"CODEX_HOME": "cx"}, want: []string{".codex/config.toml"}},
		{name: "Claude Code elsewhere", host: "claude-code", goos: "linux", env: map[string]string{"CLAUDE_CONFIG_DIR": "~/cc"}, there: []string{"cc"},
			want: []string{"cc/.claude.json"}},
		{name: "Cline's program", host: "cline", goos: "darwin", there: []string{".cline/data"}, want: []string{".cline/data/settings/cline_mcp_settings.json"}},
		{name: "Cline in Cursor", host: "cline", goos: "linux", there: []string{".config/Cursor/User/globalStorage/saoudrizwan.claude-dev"},
			want: []string{".config/Cursor/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"}},
		{name: "Cline by variable", host: "cline", goos: "linux", there: []string{"c"}, env: map[string]string{"CLINE_MCP_SETTINGS_PATH": "~/c/x.json"},
			want: []string{"c/x.json"}},
		{name: "Copilot elsewhere", host: "copilot-cli", goos: "linux", there: []string{"cop"}, env: map[string]string{"COPILOT_HOME": "~/cop"},
			want: []string{"cop/mcp-config.json"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			home := t.TempDir()
			for _, dir := range c.there {
				write(t, filepath.Join(home, dir, ".keep"), nil)
			}
			env := map[string]string{}
			for name, value := range c.env {
				if rest, ok := cutHome(value); ok {
					value = filepath.Join(home, rest)
				}
				env[name] = value
			}
			s := system(c.goos, home, env)
			h, err := hosts.Find(c.host)
			if err != nil {
				t.Fatal(err)
			}
			if got := h.Installed(s); got != (len(c.there) > 0) {
				t.Errorf("installed: %t", got)
			}
			if diff := cmp.Diff(c.want, relative(t, home, h.Files(s, hosts.User))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func cutHome(path string) (string, bool) {
	if len(path) > 1 && path[:2] == "~/" {
		return path[2:], true
	}
	return path, false
}

// TestProject: the files of a project, and who has none.
func TestProject(t *testing.T) {
	home := t.TempDir()
	got := map[string]string{}
	for _, h := range hosts.All() {
		files := h.Files(system("linux", home, nil), hosts.Project)
		if h.HasProject() != (len(files) == 1) {
			t.Errorf("%s: %v", h.Name, files)
		}
		for _, path := range relative(t, filepath.Join(home, "project"), files) {
			got[h.Name] = path
		}
	}
	want := map[string]string{
		"claude-code": ".mcp.json", "cursor": ".cursor/mcp.json", "vscode": ".vscode/mcp.json",
		"codex": ".codex/config.toml", "gemini-cli": ".gemini/settings.json",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestProgram: a host whose program is on PATH is there, even before it was ever started.
func TestProgram(t *testing.T) {
	for program, name := range map[string]string{"claude": "claude-code", "zeditor": "zed", "codex": "codex", "code-insiders": "vscode"} {
		s := system("linux", t.TempDir(), nil, program)
		for _, h := range hosts.All() {
			if got := h.Installed(s); got != (h.Name == name) {
				t.Errorf("%s on PATH: %s is installed: %t", program, h.Name, got)
			}
		}
	}
}

func TestFind(t *testing.T) {
	for given, want := range map[string]string{"Claude Desktop": "claude-desktop", "CURSOR": "cursor", "gemini": "gemini-cli", "code": "vscode", "claude": "claude-code"} {
		if h, err := hosts.Find(given); err != nil || h.Name != want {
			t.Errorf("%q: %q, %v", given, h.Name, err)
		}
	}
	if h, err := hosts.Find("emacs"); err == nil {
		t.Errorf("emacs: %s", h.Name)
	}
}
