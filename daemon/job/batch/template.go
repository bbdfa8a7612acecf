package batch

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// template is a command with places for a batch.
type template struct {
	args []string
	// Which placeholders it has.
	item, items, file bool
}

// placeholders are the names between braces.
var placeholders = []string{"item", "items", "index", "file"}

// place finds a placeholder, or one whose doubled braces say that it is none. Braces around anything but one word of
// small letters are text: awk '{print $1}'.
var place = regexp.MustCompile(`\{\{[a-z_]*\}\}|\{[a-z_]*\}`)

// compile checks the placeholders of a command.
func compile(args []string) (template, error) {
	t := template{args: args}
	for i, arg := range args {
		for _, found := range place.FindAllString(arg, -1) {
			if strings.HasPrefix(found, "{{") {
				continue
			}
			name := found[1 : len(found)-1]
			switch {
			case name == "" && arg != "{}": // {} within a text is JSON, or the shell's
				continue
			case !slices.Contains(placeholders, name):
				return t, invalid("command: there is no placeholder %s", found).
					WithHint("there are {item}, {items}, {index} and {file}; doubled braces stand for themselves: {%s}", found)
			case i == 0:
				return t, invalid("command: the program itself is %s", arg).WithHint("name a program; placeholders are for its arguments")
			case name == "items" && arg != found:
				return t, invalid("command: {items} inside of %q", arg).
					WithHint("{items} stands alone: it becomes one argument per item. {item}, with batch_size=1, may stand inside of an argument")
			}
			t.item = t.item || name == "item"
			t.items = t.items || name == "items"
			t.file = t.file || name == "file"
		}
	}
	if t.item && t.items {
		return t, invalid("command: {item} and {items}: want one of them")
	}
	return t, nil
}

// fill returns the arguments for one batch.
func (t template) fill(index int64, items []item, file string) []string {
	args := make([]string, 0, len(t.args)+len(items))
	for _, arg := range t.args {
		if arg == "{items}" {
			for _, it := range items {
				args = append(args, it.text())
			}
			continue
		}
		args = append(args, place.ReplaceAllStringFunc(arg, func(found string) string {
			switch found {
			case "{item}":
				return items[0].text()
			case "{index}":
				return strconv.FormatInt(index, 10)
			case "{file}":
				return file
			}
			if strings.HasPrefix(found, "{{") {
				return found[1 : len(found)-1]
			}
			return found
		}))
	}
	return args
}
