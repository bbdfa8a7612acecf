package hosts

import (
	"maps"
	"reflect"
	"slices"
)

// Name is the key of our entry in every host's configuration.
const Name = "durable"

// managed are the variables that an entry's env gets from us, and loses when they are no longer in force.
var managed = []string{"DURABLE_HOME", "DURABLE_SOCKET"}

// Entry is what a host is told: how to start durable-mcp.
type Entry struct {
	// Command is durable-mcp, by an absolute path: hosts have another PATH than a shell.
	Command string
	// Env holds DURABLE_HOME and DURABLE_SOCKET where they are in force; other keys are ignored.
	Env map[string]string
}

// object is a value with keys in an order. A value is a string, a []string or an object.
type object []field

type field struct {
	name  string
	value any
}

// fields are the entry in the form of a host: extra are the keys that it wants besides, first those before command.
func (e Entry) fields(before, after object) object {
	out := slices.Concat(before, object{{"command", e.Command}, {"args", []string{}}})
	if env := e.env(); len(env) > 0 {
		out = append(out, field{"env", env})
	}
	return append(out, after...)
}

func (e Entry) env() object {
	var env object
	for _, name := range slices.Sorted(maps.Keys(e.Env)) {
		if slices.Contains(managed, name) && e.Env[name] != "" {
			env = append(env, field{name, e.Env[name]})
		}
	}
	return env
}

// unset are the managed variables that the entry does not have.
func (e Entry) unset() []string {
	return slices.DeleteFunc(slices.Clone(managed), func(name string) bool { return e.Env[name] != "" })
}

// Same reports whether both start the same program for the same daemon.
func (e Entry) Same(other Entry) bool {
	return e.Command == other.Command && reflect.DeepEqual(e.env(), other.env())
}
