package migration

import (
	"strings"

	"durable/ipc/task"
)

// choice is a column of the source that is wanted, and its name in the destination.
type choice struct{ name, from string }

// choices reads the parameter columns: each is a column of the source, or NEW=OLD where OLD is one. A
// column of the source (all, where that is known) that is called so wins: names may hold an equals sign.
func (p *params) choices(all []column) []choice {
	var list []choice
	for _, text := range p.Columns {
		name, from, renamed := strings.Cut(text, "=")
		if !renamed || indexColumn(all, text) >= 0 {
			name, from = text, text
		}
		list = append(list, choice{name, from})
	}
	return list
}

// checkChoices refuses what names no column, or one twice.
func checkChoices(list []choice) error {
	names, froms := map[string]bool{}, map[string]bool{}
	for _, c := range list {
		if c.name == "" || c.from == "" || names[c.name] || froms[c.from] {
			return task.Errorf(task.InvalidArgument, "columns: %q is empty or named twice", first(c.name, c.from)).
				WithHint("name each column once, or NEW=OLD to give it another name")
		}
		names[c.name], froms[c.from] = true, true
	}
	return nil
}

// sourceNames returns the names of the chosen columns in the source; nil: all are wanted.
func (p *params) sourceNames(all []column) []string {
	var names []string
	for _, c := range p.choices(all) {
		names = append(names, c.from)
	}
	return names
}

// sourceKey returns the columns of the parameter key as the source calls them: it may name one as the
// destination does. all are the names of the source's columns.
func (p *params) sourceKey(all []string) []string {
	key := p.keyColumns()
	there := make([]column, len(all))
	for i, name := range all {
		there[i].Name = name
	}
	for _, c := range p.choices(there) {
		for i, name := range p.keyColumns() {
			if name == c.name {
				key[i] = c.from
			}
		}
	}
	return key
}

// choose returns the chosen columns of all, by their names in the destination.
func (p *params) choose(all []column) ([]column, error) {
	list := p.choices(all)
	if err := checkChoices(list); err != nil {
		return nil, err
	}
	cols, err := pick(all, p.sourceNames(all), p.Source)
	if err != nil {
		return nil, err
	}
	for i, c := range list {
		if c.name != c.from {
			cols[i].Name, cols[i].From = c.name, c.from
		}
	}
	return cols, nil
}

// sourceColumns are cols as the source calls them.
func sourceColumns(cols []column) []column {
	list := append([]column{}, cols...)
	for i, c := range list {
		list[i].Name = first(c.From, c.Name)
	}
	return list
}
