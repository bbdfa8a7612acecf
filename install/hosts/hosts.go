package hosts

import (
	"path/filepath"
	"strings"

	"durable/ipc/task"
)

// Scope is whose configuration is meant.
type Scope string

const (
	// User is the person's own, for all projects.
	User Scope = "user"
	// Project is that of one folder, mostly shared by version control.
	Project Scope = "project"
)

// File is one that a host reads. A host can have several, for its variants.
type File struct {
	Path string
	// marker is what shows that this variant of the host is there.
	marker string
}

// Host is one program that launches MCP servers.
type Host struct {
	// Name is what people type, Title what they read.
	Name, Title string
	// Afterwards says what it takes until the host knows.
	Afterwards string

	aliases  []string
	programs []string // on PATH, they show that the host is there
	user     func(System) []File
	project  string // the file in a project, with slashes; empty: the host has none
	format   format
	servers  string // the key of the servers
	before   object // keys of an entry that the host wants besides, before command
	after    object // and behind
}

var stdio = object{{"type", "stdio"}}

// hosts is the table. Each path and key has its source beside it; those called a report are users' findings, which no
// documentation has.
var hosts = []Host{
	{
		// modelcontextprotocol.io, "Connect to local MCP servers" (macOS, Windows). The packaged Windows build, which is
		// the default since 2026, has its writes redirected: report anthropics/claude-code#26073; newer ones keep them in
		// Claude-Data: a report of October 2026. Linux: community builds, Electron's usual place.
		Name: "claude-desktop", Title: "Claude Desktop", Afterwards: "quit Claude Desktop (also from the tray) and start it again",
		user: claudeDesktop, format: jsonFormat{}, servers: "mcpServers",
	},
	{
		// code.claude.com/docs, "Connect Claude Code to tools via MCP": scopes, type, and CLAUDE_CONFIG_DIR in "Settings".
		Name: "claude-code", Title: "Claude Code", Afterwards: "start a new session of Claude Code",
		aliases: []string{"claude"}, programs: []string{"claude"},
		user: func(s System) []File {
			if dir := s.Getenv("CLAUDE_CONFIG_DIR"); filepath.IsAbs(dir) {
				return []File{{Path: filepath.Join(dir, ".claude.json"), marker: dir}}
			}
			return []File{{Path: s.home(".claude.json"), marker: s.home(".claude")}}
		},
		project: ".mcp.json", format: jsonFormat{}, servers: "mcpServers", before: stdio,
	},
	{
		// cursor.com/docs, "Model Context Protocol": both places.
		Name: "cursor", Title: "Cursor", Afterwards: "turn durable on in Cursor's MCP settings, if it asks",
		programs: []string{"cursor"},
		user: func(s System) []File {
			return []File{{Path: s.home(".cursor", "mcp.json"), marker: s.home(".cursor")}}
		},
		project: ".cursor/mcp.json", format: jsonFormat{}, servers: "mcpServers",
	},
	{
		// code.visualstudio.com/docs, "MCP configuration reference": mcp.json of the user profile, .vscode/mcp.json, the key
		// servers, type required. The profile's folder: "User and workspace settings". Comments: it is JSON with comments there.
		Name: "vscode", Title: "VS Code", Afterwards: "start durable from VS Code's list of MCP servers, if it asks whether to trust it",
		aliases: []string{"code", "vs-code"}, programs: []string{"code", "code-insiders"},
		user: func(s System) []File {
			var files []File
			for _, product := range []string{"Code", "Code - Insiders"} {
				files = append(files, File{Path: s.application(product, "User", "mcp.json"), marker: s.application(product)})
			}
			return files
		},
		project: ".vscode/mcp.json", format: jsonFormat{}, servers: "servers", before: stdio,
	},
	{
		// docs.devin.ai, "Model Context Protocol (MCP)" of Devin Desktop, as Windsurf is called since 2026: the first place.
		// The second: vaadin.com/docs, "Devin Desktop". The third, of the JetBrains plugin: report laravel/boost#87.
		Name: "windsurf", Title: "Windsurf", Afterwards: "press refresh in the MCP panel of Windsurf (Devin Desktop)",
		aliases: []string{"devin"}, programs: []string{"windsurf"},
		user: func(s System) []File {
			devin := filepath.Join(s.config(), "devin")
			if s.GOOS == "windows" {
				devin = s.application("devin")
			}
			plugin := s.home(".codeium", "mcp_config.json")
			return []File{
				{Path: s.home(".codeium", "windsurf", "mcp_config.json"), marker: s.home(".codeium", "windsurf")},
				{Path: filepath.Join(devin, "mcp_config.json"), marker: devin},
				{Path: plugin, marker: plugin},
			}
		},
		format: jsonFormat{}, servers: "mcpServers",
	},
	{
		// developers.openai.com/codex, "Model Context Protocol" and "Configuration reference": both places, CODEX_HOME.
		Name: "codex", Title: "Codex", Afterwards: "start a new session of Codex",
		programs: []string{"codex"},
		user: func(s System) []File {
			dir := s.variable("CODEX_HOME", ".codex")
			return []File{{Path: filepath.Join(dir, "config.toml"), marker: dir}}
		},
		project: ".codex/config.toml", format: tomlFormat{}, servers: "mcp_servers",
	},
	{
		// geminicli.com/docs, "Gemini CLI configuration": both places.
		Name: "gemini-cli", Title: "Gemini CLI", Afterwards: "start a new session of Gemini CLI",
		aliases: []string{"gemini"}, programs: []string{"gemini"},
		user: func(s System) []File {
			return []File{{Path: s.home(".gemini", "settings.json"), marker: s.home(".gemini")}}
		},
		project: ".gemini/settings.json", format: jsonFormat{}, servers: "mcpServers",
	},
	{
		// zed.dev/docs, "Model Context Protocol": context_servers; "Configuring Zed": the places, ~/.config on macOS too, and
		// comments. Versions before the last ones want args to be there.
		Name: "zed", Title: "Zed", Afterwards: "Zed reads it at once",
		programs: []string{"zed", "zeditor"},
		user: func(s System) []File {
			dir := filepath.Join(s.config(), "zed")
			if s.GOOS == "windows" {
				dir = s.application("Zed")
			}
			return []File{{Path: filepath.Join(dir, "settings.json"), marker: dir}}
		},
		format: jsonFormat{}, servers: "context_servers",
	},
	{
		// docs.github.com, "GitHub Copilot CLI configuration directory": the place, COPILOT_HOME; "Adding MCP servers for
		// GitHub Copilot CLI": type local, tools.
		Name: "copilot-cli", Title: "Copilot CLI", Afterwards: "start a new session of Copilot CLI",
		aliases: []string{"copilot"}, programs: []string{"copilot"},
		user: func(s System) []File {
			dir := s.variable("COPILOT_HOME", ".copilot")
			return []File{{Path: filepath.Join(dir, "mcp-config.json"), marker: dir}}
		},
		format: jsonFormat{}, servers: "mcpServers", before: object{{"type", "local"}}, after: object{{"tools", []string{"*"}}},
	},
	{
		// docs.cline.bot, "Adding and configuring servers" and "MCP overview": the file's name, the program's place and
		// CLINE_MCP_SETTINGS_PATH. The extension's place is VS Code's global storage: docs.ionos.com, "Cline".
		Name: "cline", Title: "Cline", Afterwards: "Cline reads it at once",
		programs: []string{"cline"},
		user:     cline, format: jsonFormat{}, servers: "mcpServers",
	},
}

func claudeDesktop(s System) []File {
	const name = "claude_desktop_config.json"
	files := []File{{Path: s.application("Claude", name), marker: s.application("Claude")}}
	if s.GOOS == "windows" {
		files = append(files, s.matching(filepath.Join(s.local(), "Packages", "Claude_*"), "LocalCache", "Roaming", "Claude", name)...)
		files = append(files, s.matching(filepath.Join(s.local(), "Claude-Data", "[Cc]laude*"), name)...)
	}
	return files
}

func cline(s System) []File {
	const name = "cline_mcp_settings.json"
	if path := s.Getenv("CLINE_MCP_SETTINGS_PATH"); filepath.IsAbs(path) {
		return []File{{Path: path, marker: filepath.Dir(path)}}
	}
	var files []File
	for _, product := range []string{"Code", "Code - Insiders", "Cursor", "Windsurf", "VSCodium"} {
		dir := s.application(product, "User", "globalStorage", "saoudrizwan.claude-dev")
		files = append(files, File{Path: filepath.Join(dir, "settings", name), marker: dir})
	}
	dir := s.home(".cline", "data")
	return append(files, File{Path: filepath.Join(dir, "settings", name), marker: dir})
}

// All returns every host that we know, in the order in which they are shown.
func All() []Host { return append([]Host(nil), hosts...) }

// Find returns the host of that name.
func Find(name string) (Host, error) {
	var names []string
	for _, h := range hosts {
		names = append(names, h.Name)
		for _, known := range append(h.aliases, h.Name, h.Title) {
			if strings.EqualFold(known, name) {
				return h, nil
			}
		}
	}
	return Host{}, task.Errorf(task.InvalidArgument, "host %q is not known", name).WithHint("known are %s", strings.Join(names, ", "))
}

// HasProject reports whether the host reads a file in a project.
func (h Host) HasProject() bool { return h.project != "" }

// Installed reports whether the host is there: one of its folders or files, or its program on PATH.
func (h Host) Installed(s System) bool {
	if len(h.present(s)) > 0 {
		return true
	}
	for _, name := range h.programs {
		if _, err := s.LookPath(name); err == nil {
			return true
		}
	}
	return false
}

func (h Host) present(s System) []File {
	var there []File
	for _, f := range h.user(s) {
		if exists(f.marker) || exists(f.Path) {
			there = append(there, f)
		}
	}
	return there
}

// Files are those that the host reads: of its variants those that are there, else the usual one. In [Project] scope it
// is the one in the project, or none where the host has none.
func (h Host) Files(s System, scope Scope) []File {
	if scope == Project {
		if h.project == "" {
			return nil
		}
		return []File{{Path: filepath.Join(s.Dir, filepath.FromSlash(h.project))}}
	}
	if there := h.present(s); len(there) > 0 {
		return there
	}
	return h.user(s)[:1]
}

// Snippet is the entry as a person would paste it into an empty file.
func (h Host) Snippet(e Entry) string {
	return h.format.snippet(h.path(), e.fields(h.before, h.after))
}

func (h Host) path() []string { return []string{h.servers, Name} }

func (h Host) document() document {
	return document{format: h.format, path: h.path(), before: h.before, after: h.after}
}
