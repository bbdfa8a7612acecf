package config

import (
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"durable/ipc/task"
)

// Kind is a job kind that the user has defined: a program with typed parameters. It is plain data.
type Kind struct {
	Name        string
	Description string
	// Command is the program, absolute or to be looked up on PATH, and its arguments. One that reads {NAME} stands for
	// the parameter of that name.
	Command []string
	// Params are in the order of the file.
	Params []Param
	// Cwd is absolute; empty is the home folder.
	Cwd string
	// Env is added to the program's environment. Its values are secrets.
	Env     map[string]string
	Timeout time.Duration
	// Concurrency is how many tasks of the kind run at once; 0 is no limit of its own.
	Concurrency int
}

// The types of a parameter.
const (
	TypeString  = "string"
	TypeInteger = "integer"
	TypeNumber  = "number"
	TypeBoolean = "boolean"
	// TypeEnum is a string that is one of Enum.
	TypeEnum = "enum"
	// TypePath is a string that is an absolute path.
	TypePath = "path"
)

var types = []string{TypeString, TypeInteger, TypeNumber, TypeBoolean, TypeEnum, TypePath}

// Param is a parameter of a Kind.
type Param struct {
	Name        string
	Type        string
	Description string
	// Default is a string, an int64, a float64 or a bool, as Type wants it; nil is none.
	Default any
	// Enum are the values of a TypeEnum, Min and Max the limits of a number, MaxLength that of a string or a
	// path, in characters. Nil is no limit of its own: a string has MaxString.
	Enum      []string
	Min, Max  *float64
	MaxLength *int64
	Required  bool
}

// Limits of a Kind.
const (
	MaxString      = 32 << 10 // characters of a string, if its parameter has no lower limit
	maxDescription = 1000
	maxParams      = 50
	maxArguments   = 1000
	maxEnum        = 200
	maxConcurrency = 1000
)

// Builtin are the names and aliases of the kinds that are built in, now or later: a user-defined one can have
// none of them.
var Builtin = []string{
	"noop", "command", "data_migration", "migration", "batch_processing", "batch", "ml_training", "training",
}

// taken are the names that every start has besides the kind's parameters: as an argument of the tool, or as a flag.
var taken = []string{
	"title", "idempotency_key", "key", "label", "labels", "timeout", "retries", "restart", "priority", "queue",
	"wait", "watch", "json", "socket", "help", "param", "params",
}

var (
	nameWant = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	envName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	braces   = regexp.MustCompile(`\{[A-Za-z_][A-Za-z0-9_]*\}`)
)

// Placeholder returns the name of the parameter that a whole argument stands for.
func Placeholder(argument string) (name string, ok bool) {
	at := braces.FindStringIndex(argument)
	if at == nil || at[0] != 0 || at[1] != len(argument) {
		return "", false
	}
	return argument[1 : len(argument)-1], true
}

// Validate checks everything about k that does not depend on this machine. The error is a
// [task.InvalidArgument] that names each field that is wrong. What [Load] returns has been validated.
func (k Kind) Validate() error {
	found := k.problems()
	if len(found) == 0 {
		return nil
	}
	var texts []string
	for _, p := range found {
		texts = append(texts, p.text)
	}
	e := task.Errorf(task.InvalidArgument, "kind %q: %s", k.Name, strings.Join(texts, "; "))
	if found[0].hint != "" {
		return e.WithHint("%s", found[0].hint)
	}
	return e
}

// problems returns what is wrong, with paths that begin below the kind.
func (k Kind) problems() problems {
	var found problems
	switch {
	case !nameWant.MatchString(k.Name):
		found.add(nil, "name: %q, want a letter and up to 31 letters, digits and _, all lower case", k.Name)
	case slices.Contains(Builtin, k.Name):
		found.add(nil, "name: %q is a kind that is built in", k.Name).withHint("give it another name")
	}
	switch n := utf8.RuneCountInString(k.Description); {
	case strings.TrimSpace(k.Description) == "":
		found.add([]string{"description"}, "description: missing").withHint("say what it does: a model chooses the tool by it")
	case n > maxDescription:
		found.add([]string{"description"}, "description: %d characters, the limit is %d", n, maxDescription)
	}
	k.checkCommand(&found)
	if k.Cwd != "" && !filepath.IsAbs(k.Cwd) {
		found.add([]string{"cwd"}, "cwd: %q is not an absolute path", k.Cwd).withHint("give the absolute path, or one that begins with ~/")
	}
	checkEnv(k.Env, []string{"env"}, &found)
	if k.Timeout < 0 {
		found.add([]string{"timeout"}, "timeout: %s is negative", k.Timeout)
	}
	if k.Concurrency < 0 || k.Concurrency > maxConcurrency {
		found.add([]string{"concurrency"}, "concurrency: %d, want 0 to %d", k.Concurrency, maxConcurrency)
	}
	if len(k.Params) > maxParams {
		found.add([]string{"params"}, "params: %d, the limit is %d", len(k.Params), maxParams)
	}
	for i, p := range k.Params {
		if slices.ContainsFunc(k.Params[:i], func(q Param) bool { return q.Name == p.Name }) {
			found.add([]string{"params", p.Name}, "params.%s: there twice", p.Name)
		}
		p.check(&found)
	}
	return found
}

func (k Kind) checkCommand(found *problems) {
	switch {
	case len(k.Command) == 0 || k.Command[0] == "":
		found.add([]string{"command"}, "command: missing").withHint(`an array of the program and its arguments: ["make", "-j8", "{target}"]`)
		return
	case len(k.Command) > maxArguments:
		found.add([]string{"command"}, "command: %d arguments, the limit is %d", len(k.Command), maxArguments)
		return
	}
	used := map[string]bool{}
	for i, argument := range k.Command {
		at := []string{"command", strconv.Itoa(i)}
		name, whole := Placeholder(argument)
		switch {
		case strings.ContainsRune(argument, 0):
			found.add(at, "command: argument %d has a NUL character in it", i)
		case whole && i == 0:
			found.add(at, "command: the program itself cannot be a parameter").withHint("define a kind for each program")
		case whole && !k.declares(name):
			k.undeclared(found, at, name)
		case whole:
			used[name] = true
		case braces.MatchString(argument):
			found.add(at, "command: %s stands inside the argument %q", braces.FindString(argument), argument).
				withHint("a parameter is a whole argument; for plain text put a space after the {")
		}
	}
	if program := k.Command[0]; strings.ContainsAny(program, `/\`) && !filepath.IsAbs(program) {
		found.add([]string{"command", "0"}, "command: %q is neither absolute nor a bare name", program).
			withHint("give the absolute path, or one that begins with ~/")
	}
	for _, p := range k.Params {
		if !used[p.Name] {
			found.add([]string{"params", p.Name}, "params.%s: not used in command", p.Name).withHint(`put "{%s}" into command`, p.Name)
		}
	}
}

func (k Kind) declares(name string) bool {
	return slices.ContainsFunc(k.Params, func(p Param) bool { return p.Name == name })
}

func (k Kind) undeclared(found *problems, at []string, name string) {
	p := found.add(at, "command: {%s} is no parameter of the kind", name)
	var names []string
	for _, q := range k.Params {
		names = append(names, q.Name)
	}
	if near := nearest(name, names); near != "" {
		p.withHint("write {%s} instead of {%s}", near, name)
		return
	}
	p.withHint("declare it: [kinds.%s.params.%s]", k.Name, name)
}

// checkEnv refuses what cannot be in an environment. It never says a value.
func checkEnv(env map[string]string, at []string, found *problems) {
	for name, value := range env {
		below := append(slices.Clone(at), name)
		switch {
		case !envName.MatchString(name):
			found.add(below, "%s: %q is no name of a variable", strings.Join(at, "."), name).withHint("letters, digits and _, no digit first")
		case strings.ContainsRune(value, 0):
			found.add(below, "%s.%s: a NUL character in the value", strings.Join(at, "."), name)
		}
	}
}

func (p Param) check(found *problems) {
	at := []string{"params", p.Name}
	fail := func(field, format string, args ...any) *problem {
		return found.add(append(slices.Clone(at), field), "params.%s.%s: %s", p.Name, field, fmt.Sprintf(format, args...))
	}
	switch {
	case !nameWant.MatchString(p.Name):
		found.add(at, "params.%s: want a letter and up to 31 letters, digits and _, all lower case", p.Name)
	case slices.Contains(taken, p.Name):
		found.add(at, "params.%s: every start has a %s already", p.Name, p.Name).withHint("give it another name")
	}
	if !slices.Contains(types, p.Type) {
		if q := fail("type", "%q, want %s", p.Type, choice(types)); nearest(p.Type, types) != "" {
			q.withHint("write %q instead of %q", nearest(p.Type, types), p.Type)
		}
		return // nothing else can be judged
	}
	if utf8.RuneCountInString(p.Description) > maxDescription {
		fail("description", "longer than %d characters", maxDescription)
	}
	if p.checkLimits(fail) && p.Default != nil {
		if p.Required {
			fail("default", "a required parameter has none").withHint("leave required out: the default stands in")
		} else if err := p.Check(p.Default); err != nil {
			fail("default", "%s", err)
		}
	}
}

// checkLimits reports whether the limits make sense for the type.
func (p Param) checkLimits(fail func(field, format string, args ...any) *problem) bool {
	numeric := p.Type == TypeInteger || p.Type == TypeNumber
	text := p.Type == TypeString || p.Type == TypePath
	sound := true
	refuse := func(wrong bool, field, format string, args ...any) {
		if wrong {
			fail(field, format, args...)
			sound = false
		}
	}
	refuse(p.Min != nil && !numeric, "min", "only for integer and number")
	refuse(p.Max != nil && !numeric, "max", "only for integer and number")
	refuse(p.MaxLength != nil && !text, "max_length", "only for string and path")
	refuse(p.MaxLength != nil && text && (*p.MaxLength < 1 || *p.MaxLength > MaxString), "max_length", "want 1 to %d", MaxString)
	refuse(p.Enum != nil && p.Type != TypeEnum, "enum", "only for the type enum")
	refuse(p.Type == TypeEnum && len(p.Enum) == 0, "enum", "missing")
	refuse(len(p.Enum) > maxEnum, "enum", "%d values, the limit is %d", len(p.Enum), maxEnum)
	for i, v := range p.Enum {
		refuse(v == "" || strings.ContainsRune(v, 0) || slices.Contains(p.Enum[:i], v), "enum", "%q is empty, there twice, or has a NUL character in it", v)
	}
	for _, limit := range []struct {
		name string
		v    *float64
	}{{"min", p.Min}, {"max", p.Max}} {
		if limit.v == nil || !numeric {
			continue
		}
		refuse(math.IsNaN(*limit.v) || math.IsInf(*limit.v, 0), limit.name, "not a number")
		refuse(p.Type == TypeInteger && *limit.v != math.Trunc(*limit.v), limit.name, "%v, want a whole number", *limit.v)
	}
	refuse(sound && p.Min != nil && p.Max != nil && *p.Min > *p.Max, "min", "greater than max")
	return sound
}
