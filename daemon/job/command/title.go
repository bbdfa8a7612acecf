package command

import (
	"path/filepath"
	"strings"
	"unicode"
)

// maxTitle is how long a title that is made of a command becomes, in characters.
const maxTitle = 80

// title is what the task is called unless the caller says otherwise: the command as one would type it.
func (p *params) title() string {
	args := maskArgs(p.Command, p.Shell)
	if p.Shell {
		return shorten(args[0])
	}
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = quote(arg)
	}
	if filepath.IsAbs(args[0]) {
		words[0] = quote(filepath.Base(args[0]))
	}
	return shorten(strings.Join(words, " "))
}

// plain are the characters that no shell has a meaning for.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=:@%+,"

// quote returns arg as one types it into a shell.
func quote(arg string) string {
	switch {
	case arg == "":
		return "''"
	case strings.IndexFunc(arg, func(r rune) bool { return r < 0x80 && !strings.ContainsRune(plain, r) }) < 0, arg == masked:
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}

// shorten makes one line of s that is not too long.
func shorten(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if runes := []rune(s); len(runes) > maxTitle {
		return strings.TrimSpace(string(runes[:maxTitle-1])) + "…"
	}
	return s
}
