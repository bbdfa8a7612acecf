package config

import (
	"math"
	"os"
	"os/user"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/pelletier/go-toml/v2"

	"durable/daemon/web"
	"durable/ipc/task"
)

// The shape of the file. Every field has a tag: it is the name that errors give.
type (
	fileShape struct {
		Policy      policyShape          `toml:"policy"`
		Environment environmentShape     `toml:"environment"`
		Retention   retentionShape       `toml:"retention"`
		HTTP        httpShape            `toml:"http"`
		Notify      notifyShape          `toml:"notify"`
		Kinds       map[string]kindShape `toml:"kinds"`
	}
	policyShape struct {
		Commands *string  `toml:"commands"`
		CLI      *string  `toml:"cli"`
		Programs []string `toml:"programs"`
		Folders  []string `toml:"folders"`
	}
	environmentShape struct {
		Source *string           `toml:"source"`
		Path   []string          `toml:"path"`
		Set    map[string]string `toml:"set"`
	}
	retentionShape struct {
		Days *int64  `toml:"days"`
		Max  *string `toml:"max"`
	}
	httpShape struct {
		Address *string `toml:"address"`
		Auth    *string `toml:"auth"`
	}
	notifyShape struct {
		Enabled *bool   `toml:"enabled"`
		After   *string `toml:"after"`
	}
	kindShape struct {
		Description string                `toml:"description"`
		Command     []string              `toml:"command"`
		Params      map[string]paramShape `toml:"params"`
		Cwd         string                `toml:"cwd"`
		Env         map[string]string     `toml:"env"`
		Timeout     *string               `toml:"timeout"`
		Concurrency int64                 `toml:"concurrency"`
	}
	paramShape struct {
		Type        string   `toml:"type"`
		Description string   `toml:"description"`
		Default     any      `toml:"default"`
		Enum        []string `toml:"enum"`
		Min         *float64 `toml:"min"`
		Max         *float64 `toml:"max"`
		MaxLength   *int64   `toml:"max_length"`
		Required    bool     `toml:"required"`
	}
)

// parse reads the text of a file. Either there are problems, each with its position, or the Config is sound.
func parse(text []byte) (*Config, problems) {
	doc, wrong := parseTree(text)
	if wrong != nil {
		return nil, problems{*wrong}
	}
	var found problems
	doc.fits(reflect.TypeFor[fileShape](), &found)
	cfg := new(Config)
	if len(found) == 0 {
		var shape fileShape
		if err := toml.Unmarshal(text, &shape); err != nil {
			return nil, problems{{text: strings.TrimPrefix(err.Error(), "toml: "), line: 1, col: 1}}
		}
		r := reader{doc: doc, problems: &found}
		cfg.Policy = r.policy(shape.Policy)
		cfg.Environment = r.environment(shape.Environment)
		cfg.Retention = r.retention(shape.Retention)
		cfg.HTTP = r.http(shape.HTTP)
		cfg.Notify = r.notify(shape.Notify)
		cfg.Kinds = r.kinds(shape.Kinds)
	}
	for i := range found {
		found[i].line, found[i].col = doc.position(found[i].path)
	}
	return cfg, found
}

// reader turns shapes into what they mean.
type reader struct {
	doc *document
	*problems
}

func (r reader) policy(s policyShape) Policy {
	p := Policy{
		Commands: r.rule(s.Commands, "policy", "commands"), CLI: r.rule(s.CLI, "policy", "cli"),
		Programs: r.absolute(s.Programs, "policy", "programs"), Folders: r.absolute(s.Folders, "policy", "folders"),
	}
	return p
}

func (r reader) rule(word *string, path ...string) Rule {
	if word == nil || slices.Contains(rules, *word) {
		return Rule(deref(word))
	}
	r.word(*word, rules, path)
	return ""
}

// word reports one that is not among those that are known.
func (r reader) word(word string, known, path []string) {
	p := r.add(path, "%s: %q, want %s", strings.Join(path, "."), word, choice(known))
	if near := nearest(word, known); near != "" {
		p.withHint("write %q instead of %q", near, word)
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// absolute expands ~ and wants absolute paths; nil stays nil.
func (r reader) absolute(paths []string, at ...string) []string {
	if paths == nil {
		return nil
	}
	out := make([]string, len(paths))
	for i, path := range paths {
		below := append(slices.Clone(at), strconv.Itoa(i))
		out[i] = expand(path)
		if !filepath.IsAbs(out[i]) || strings.ContainsRune(out[i], 0) {
			r.add(below, "%s: %q is not an absolute path", strings.Join(at, "."), path).
				withHint("give the absolute path, or one that begins with ~/; command -v NAME tells a program's")
		}
	}
	return out
}

// expand replaces a leading ~ by the user's home, where he has one, and cleans what is absolute.
func expand(path string) string {
	rest, ok := strings.CutPrefix(path, "~")
	if ok && (rest == "" || os.IsPathSeparator(rest[0])) {
		if dir := home(); dir != "" {
			return filepath.Join(dir, rest)
		}
	}
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return path
}

func home() string {
	if dir, err := os.UserHomeDir(); err == nil && filepath.IsAbs(dir) {
		return dir
	}
	if u, err := user.Current(); err == nil && filepath.IsAbs(u.HomeDir) {
		return u.HomeDir
	}
	return ""
}

func (r reader) environment(s environmentShape) Environment {
	e := Environment{Source: deref(s.Source), Path: r.absolute(s.Path, "environment", "path"), Set: s.Set}
	if s.Source != nil && e.Source != SourceLoginShell && e.Source != SourceDaemon {
		r.word(e.Source, []string{SourceLoginShell, SourceDaemon}, []string{"environment", "source"})
	}
	for i, dir := range e.Path {
		if strings.ContainsRune(dir, os.PathListSeparator) {
			r.add([]string{"environment", "path", strconv.Itoa(i)}, "environment.path: %q has a %q in it", dir, os.PathListSeparator).
				withHint("one folder for each element of the array")
		}
	}
	checkEnv(e.Set, []string{"environment", "set"}, r.problems)
	return e
}

// maxDays keeps a duration within what a time.Duration holds.
const maxDays = 100_000

func (r reader) retention(s retentionShape) Retention {
	var out Retention
	switch {
	case s.Days == nil:
	case *s.Days < 0 || *s.Days > maxDays:
		r.add([]string{"retention", "days"}, "retention.days: %d, want 0 to %d", *s.Days, maxDays).withHint("0 keeps what has ended for ever")
	case *s.Days == 0:
		out.Days = Unlimited
	default:
		out.Days = int(*s.Days)
	}
	if s.Max == nil {
		return out
	}
	n, err := humanize.ParseBytes(*s.Max)
	switch {
	case err != nil || n > math.MaxInt64:
		r.add([]string{"retention", "max"}, "retention.max: %q is not a size", *s.Max).withHint(`such as "10GiB" or "500MB"; "0" is no limit`)
	case n == 0:
		out.Max = Unlimited
	default:
		out.Max = int64(n)
	}
	return out
}

func (r reader) http(s httpShape) HTTP {
	h := HTTP{Address: deref(s.Address), Auth: deref(s.Auth)}
	switch {
	case s.Address == nil && s.Auth == nil:
		return h
	case h.Address == "":
		r.add([]string{"http", "address"}, "http.address: missing").withHint(`such as address = "127.0.0.1:8080"`)
		return h
	}
	if err := web.Check(h.Address, h.Auth); err != nil {
		e := task.AsError(err)
		r.add([]string{"http"}, "http: %s", e.Message).withHint("%s", e.Hint)
	}
	return h
}

func (r reader) notify(s notifyShape) Notify {
	n := Notify{Off: s.Enabled != nil && !*s.Enabled}
	if s.After == nil {
		return n
	}
	d, err := time.ParseDuration(*s.After)
	switch {
	case err != nil || d < 0:
		r.add([]string{"notify", "after"}, "notify.after: %q is not a time", *s.After).withHint(`such as "90s" or "10m"; "0s" tells of every task`)
	case d == 0:
		n.After = Unlimited
	default:
		n.After = d
	}
	return n
}

func (r reader) kinds(shapes map[string]kindShape) []Kind {
	var kinds []Kind
	for _, name := range r.doc.children("kinds") {
		s := shapes[name]
		at := []string{"kinds", name}
		k := Kind{
			Name: name, Description: s.Description, Command: slices.Clone(s.Command), Cwd: expand(s.Cwd), Env: s.Env,
			Concurrency: int(min(s.Concurrency, math.MaxInt32)),
		}
		if len(k.Command) > 0 {
			k.Command[0] = expand(k.Command[0])
		}
		if s.Timeout != nil {
			d, err := time.ParseDuration(*s.Timeout)
			if k.Timeout = d; err != nil || d <= 0 {
				r.add(append(at, "timeout"), "kinds.%s.timeout: %q is not a time", name, *s.Timeout).withHint(`such as "90s", "2h" or "1h30m"`)
			}
		}
		for _, param := range r.doc.children("kinds", name, "params") {
			k.Params = append(k.Params, newParam(param, s.Params[param]))
		}
		for _, p := range k.problems() {
			p.path = append(slices.Clone(at), p.path...)
			p.text = "kinds." + name + "." + p.text
			*r.problems = append(*r.problems, p)
		}
		kinds = append(kinds, k)
	}
	return kinds
}

func newParam(name string, s paramShape) Param {
	p := Param{
		Name: name, Type: s.Type, Description: s.Description, Default: s.Default, Enum: s.Enum,
		Min: s.Min, Max: s.Max, MaxLength: s.MaxLength, Required: s.Required,
	}
	if text, ok := p.Default.(string); ok && p.Type == TypePath {
		p.Default = expand(text)
	}
	return p
}
