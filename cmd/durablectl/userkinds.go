package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

// property is what we need of a parameter's schema.
type property struct {
	Type        string            `json:"type"`
	Format      string            `json:"format"`
	Description string            `json:"description"`
	Enum        []json.RawMessage `json:"enum"`
	Default     json.RawMessage   `json:"default"`
	Minimum     *float64          `json:"minimum"`
	Maximum     *float64          `json:"maximum"`

	// Required is what the schema says of the parameter.
	Required bool `json:"-"`
}

// properties are the parameters of a kind.
func properties(schema json.RawMessage) map[string]property {
	var s struct {
		Properties map[string]property `json:"properties"`
		Required   []string            `json:"required"`
	}
	if json.Unmarshal(schema, &s) != nil {
		return nil
	}
	for _, name := range s.Required {
		if p, ok := s.Properties[name]; ok {
			p.Required = true
			s.Properties[name] = p
		}
	}
	return s.Properties
}

// about is the flag's line in the help: what a value may be, besides what it is for.
func (p property) about() string {
	var notes []string
	if len(p.Enum) > 0 {
		notes = append(notes, strings.Join(enumWords(p), ", "))
	}
	limit := func(x *float64) string { return strconv.FormatFloat(*x, 'f', -1, 64) }
	switch {
	case p.Minimum != nil && p.Maximum != nil:
		notes = append(notes, limit(p.Minimum)+" to "+limit(p.Maximum))
	case p.Minimum != nil:
		notes = append(notes, "at least "+limit(p.Minimum))
	case p.Maximum != nil:
		notes = append(notes, "at most "+limit(p.Maximum))
	}
	if len(p.Default) > 0 {
		notes = append(notes, "default: "+string(p.Default))
	} else if p.Required {
		notes = append(notes, "required")
	}
	about := p.Description
	if p.Format == "path" { // the name of the value says it
		about = strings.TrimSpace(strings.TrimSuffix(about, "(path)"))
	}
	if len(notes) > 0 {
		about += " (" + strings.Join(notes, "; ") + ")"
	}
	return strings.TrimSpace(about)
}

// userKind is what the configuration allows as the name of a kind.
var userKind = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)

// addUserKinds gives each user-defined kind a command of its own below start. They are those that the daemon listed
// last; one that is newer can be started by its name all the same, with --param.
func addUserKinds(c *cli, start *cobra.Command) {
	if c.kinds == nil {
		return
	}
	for _, k := range c.kinds() {
		taken := slices.ContainsFunc(start.Commands(), func(cmd *cobra.Command) bool { return cmd.Name() == k.Name || cmd.HasAlias(k.Name) })
		if k.UserDefined && userKind.MatchString(k.Name) && !taken {
			start.AddCommand(newStartUserKind(c, k))
		}
	}
}

func newStartUserKind(c *cli, k task.KindInfo) *cobra.Command {
	var (
		sub    submission
		params []string
	)
	about := render.FirstLine(k.Description)
	if about == "" {
		about = k.Title
	}
	cmd := &cobra.Command{
		Use:   k.Name,
		Short: about,
		Long:  k.Description,
		Args:  atMost(0),
	}
	sub.flags(cmd)
	cmd.Flags().StringArrayVarP(&params, "param", "p", nil, "parameter `NAME=VALUE`, VALUE as JSON or as text; may be repeated")
	flags := declareProperties(cmd, properties(k.Schema))
	cmd.RunE = do(func(ctx context.Context, _ []string) error {
		given, err := parameters(c.in, "", params)
		if err != nil {
			return err
		}
		for flag, name := range flags {
			if f := cmd.Flags().Lookup(flag); f.Changed {
				if given[name], err = userValue(f); err != nil {
					return err
				}
			}
		}
		err = c.start(ctx, k.Name, given, sub)
		if e := task.AsError(err); err != nil && e.Code == task.InvalidArgument && e.Hint == "" {
			return e.WithHint("durablectl start %s --help shows how", k.Name)
		}
		return err
	})
	mustRegister(cmd, "param", completeParams(properties(k.Schema)))
	return cmd
}

// declareProperties declares a flag for each parameter and returns the parameters' names by flag. One whose flag
// would be one of our own is left to --param. What a value may be is for the daemon to say.
func declareProperties(cmd *cobra.Command, props map[string]property) map[string]string {
	flags := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(props)) {
		flag, p := strings.ReplaceAll(name, "_", "-"), props[name]
		if cmd.Flags().Lookup(flag) != nil || flag == "json" || flag == "socket" || flag == "help" {
			continue
		}
		cmd.Flags().Var(&propertyValue{property: p}, flag, p.about())
		flags[flag] = name
		switch {
		case p.Type == "boolean":
			cmd.Flags().Lookup(flag).NoOptDefVal = "true"
		case len(p.Enum) > 0:
			offer(cmd, flag, enumWords(p)...)
		case p.Format != "path":
			mustRegister(cmd, flag, cobra.NoFileCompletions)
		}
	}
	return flags
}

func enumWords(p property) []string {
	var words []string
	for _, e := range p.Enum {
		var text string
		if json.Unmarshal(e, &text) != nil {
			text = string(e)
		}
		words = append(words, text)
	}
	return words
}

// propertyValue is the value of such a flag, kept as it was typed.
type propertyValue struct {
	property
	text string
}

// String implements pflag.Value.
func (v *propertyValue) String() string { return v.text }

// Type implements pflag.Value: the name of the value in the help.
func (v *propertyValue) Type() string {
	if v.property.Format == "path" {
		return "path"
	}
	if v.property.Type == "boolean" {
		return "bool"
	}
	return v.property.Type
}

// Set implements pflag.Value.
func (v *propertyValue) Set(text string) error {
	var err error
	switch v.property.Type {
	case "integer":
		if _, err = strconv.ParseInt(text, 10, 64); err != nil {
			err = fmt.Errorf("want a whole number")
		}
	case "number":
		if _, err = strconv.ParseFloat(text, 64); err != nil || !json.Valid([]byte(text)) {
			err = fmt.Errorf("want a number")
		}
	case "boolean":
		if _, err = strconv.ParseBool(text); err != nil {
			err = fmt.Errorf("want true or false")
		}
	}
	v.text = text
	return err
}

// userValue is the parameter that a flag gives.
func userValue(f *pflag.Flag) (any, error) {
	v := f.Value.(*propertyValue)
	switch v.property.Type {
	case "integer", "number":
		return json.RawMessage(v.text), nil
	case "boolean":
		return strconv.ParseBool(v.text)
	}
	if v.property.Format == "path" {
		return source("--"+f.Name, v.text)
	}
	return v.text, nil
}

// completeParams offers the names of parameters for NAME=VALUE, then the values that there are.
func completeParams(props map[string]property) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		const more = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		if name, _, ok := strings.Cut(typed, "="); ok {
			var offers []cobra.Completion
			for _, word := range enumWords(props[name]) {
				offers = append(offers, name+"="+word)
			}
			return offers, cobra.ShellCompDirectiveNoFileComp
		}
		var offers []cobra.Completion
		for _, name := range slices.Sorted(maps.Keys(props)) {
			offers = append(offers, cobra.CompletionWithDesc(name+"=", props[name].Description))
		}
		return offers, more
	}
}
