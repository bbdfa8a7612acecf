package main

import (
	"bytes"
	"encoding/json"
	"strings"
)

// platform is one that a bundle can be for.
type platform struct {
	name string // as the manifest calls it
	exe  string
}

var platforms = map[string]platform{
	"linux":   {"linux", ""},
	"darwin":  {"darwin", ""},
	"windows": {"win32", ".exe"},
}

// serverDir is the folder of the programs in a bundle.
const serverDir = "server"

// manifest is what we say of ourselves; the format has more.
type manifest struct {
	ManifestVersion string `json:"manifest_version"`
	Name            string `json:"name"`
	DisplayName     string `json:"display_name"`
	Version         string `json:"version"`
	Description     string `json:"description"`
	LongDescription string `json:"long_description"`
	Author          author `json:"author"`
	Server          server `json:"server"`
	Tools           []tool `json:"tools"`
	// ToolsGenerated: a user's own kinds of jobs are tools too.
	ToolsGenerated bool          `json:"tools_generated"`
	Keywords       []string      `json:"keywords"`
	Compatibility  compatibility `json:"compatibility"`
}

type author struct {
	Name string `json:"name"`
}

type server struct {
	Type       string    `json:"type"`
	EntryPoint string    `json:"entry_point"`
	Config     mcpConfig `json:"mcp_config"`
}

type mcpConfig struct {
	Command string            `json:"command"`
	Args    []string          `json:"args"`
	Env     map[string]string `json:"env"`
}

type tool struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

type compatibility struct {
	Platforms []string `json:"platforms"`
}

// manifestOf writes the manifest for one platform, with what the server has said of itself.
func manifestOf(p platform, said answer) ([]byte, error) {
	entry := serverDir + "/durable-mcp" + p.exe
	m := manifest{
		ManifestVersion: "0.3", Name: "durable", DisplayName: "durable", Version: strings.TrimPrefix(said.Version, "v"),
		Description: "Background jobs that outlive this app: commands, copies of data, batches and trainings",
		LongDescription: "Work that an assistant starts dies with the app, or after a minute. durable gives it to a small service of your own " +
			"that finishes it: close the app, and the job goes on; ask about it later, here or in another app. " +
			"Commands wait for your yes before they run.",
		Author:         author{Name: "The durable authors"},
		Server:         server{Type: "binary", EntryPoint: entry, Config: mcpConfig{Command: "${__dirname}/" + entry, Args: []string{}, Env: map[string]string{}}},
		ToolsGenerated: true,
		Keywords:       []string{"background jobs", "long-running", "commands", "data migration", "batch", "training"},
		Compatibility:  compatibility{Platforms: []string{p.name}},
	}
	for _, t := range said.Tools {
		m.Tools = append(m.Tools, tool{t.Name, firstSentence(t.Description)})
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(m)
	return b.Bytes(), err
}

// firstSentence is what a person reads of a description that is for a model.
func firstSentence(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	if i := strings.Index(text, ". "); i >= 0 {
		return text[:i+1]
	}
	return text
}
