package command

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// masked stands for what is not shown.
const masked = "***"

const secretName = `[\w.-]*(?:secret|passw(?:or)?d|passphrase|token|api[-_]?key|access[-_]?key|private[-_]?key|credential)[\w.-]*`

var (
	secretWord   = regexp.MustCompile(`(?i)^-{0,2}` + secretName + `$`)
	secretAssign = regexp.MustCompile(`(?is)^(-{0,2}` + secretName + `=)(.+)$`)
	noSecret     = regexp.MustCompile(`(?i)(?:[-_.](?:file|path|dir|limit|type|url|name|stdin|length|count)|tokens|tokeni[sz]er?)$`)

	shellText    = regexp.MustCompile(`^-[a-zA-Z]*c[a-zA-Z]*$`)
	secretHeader = regexp.MustCompile(`(?i)((?:^|["'\s])(?:(?:proxy-)?authorization|cookie|` + secretName + `)\s*:\s*)([^"'\r\n]+)`)
	secretInline = regexp.MustCompile(`(?i)((?:^|[^\w.-])` + secretName + `\s?=\s?)("[^"]*"|'[^']*'|[^\s&;"']+)`)
	secretFlag   = regexp.MustCompile(`(?i)((?:^|\s)--?` + secretName + `\s+)("[^"]*"|'[^']*'|[^\s"'-]\S*)`)
	bearer       = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}`)
	userInfo     = regexp.MustCompile(`(://[^/\s:@]*:)[^\s/]*@`)
	knownToken   = regexp.MustCompile(`\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}|sk-[\w-]{20,}|AKIA[A-Z0-9]{16}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*)`)
)

// Mask returns a text with what looks like a secret replaced by ***: password=x and --token x, headers
// (Authorization, Cookie, X-Api-Key), the password of a URL, tokens of well-known forms.
func Mask(text string) string {
	text = userInfo.ReplaceAllString(text, "${1}"+masked+"@")
	text = secretHeader.ReplaceAllString(text, "${1}"+masked)
	text = replaceNamed(secretInline, text)
	text = replaceNamed(secretFlag, text)
	text = bearer.ReplaceAllString(text, "${1} "+masked)
	return knownToken.ReplaceAllString(text, masked)
}

// replaceNamed masks the second group, unless the name in the first only sounds like a secret's.
func replaceNamed(re *regexp.Regexp, text string) string {
	return re.ReplaceAllStringFunc(text, func(found string) string {
		g := re.FindStringSubmatch(found)
		if noSecret.MatchString(strings.TrimRight(g[1], "= \t")) {
			return found
		}
		return g[1] + masked
	})
}

// maskArgs returns args for people to see: each by itself, and those that stand behind a name of a secret. What a
// shell reads is a text.
func maskArgs(args []string, shell bool) []string {
	out := make([]string, len(args))
	if len(args) == 0 {
		return out
	}
	program := strings.TrimSuffix(filepath.Base(args[0]), ".exe")
	script := -1 // where a text for a shell stands; what follows it, or the name of a script, are arguments like any other's
	if slices.Contains([]string{"sh", "bash", "zsh", "dash", "ksh", "fish"}, program) {
		script = slices.IndexFunc(args, shellText.MatchString) + 1
	}
	short := shortFlags(program)
	for i, arg := range args {
		before := ""
		if i > 1 {
			before = args[i-1]
		}
		switch attached := len(arg) > 2 && short[arg[:2]] != 0; {
		case i == 0 || shell || i == script && script > 0:
			out[i] = Mask(arg)
		case short[before] == separate:
			out[i] = maskShort(before, arg)
		case attached:
			out[i] = arg[:2] + maskShort(arg[:2], arg[2:])
		case isSecretFlag(before) && !strings.HasPrefix(arg, "-") && (len(before) < 2 || short[before[:2]] == 0):
			out[i] = masked
		default:
			out[i] = maskArg(arg)
		}
	}
	return out
}

func maskArg(arg string) string {
	if g := secretAssign.FindStringSubmatch(arg); g != nil && !noSecret.MatchString(strings.TrimSuffix(g[1], "=")) {
		return g[1] + masked
	}
	return Mask(arg)
}

// isSecretFlag reports whether the value of a flag is the next argument and a secret.
func isSecretFlag(arg string) bool {
	return strings.HasPrefix(arg, "-") && !strings.Contains(arg, "=") && secretWord.MatchString(arg) && !noSecret.MatchString(arg)
}

// How a flag's value is given: -pVALUE alone, or also -p VALUE.
const (
	attachedOnly = 1
	separate     = 2
)

// shortFlags are flags of well-known programs whose value is a password. -p alone means too many things.
func shortFlags(program string) map[string]int {
	switch program {
	case "mysql", "mysqldump", "mysqladmin", "mysqlimport", "mariadb", "mariadb-dump", "mariadb-admin":
		return map[string]int{"-p": attachedOnly}
	case "sshpass":
		return map[string]int{"-p": separate}
	case "redis-cli":
		return map[string]int{"-a": separate}
	case "curl":
		return map[string]int{"-u": separate, "--user": separate}
	}
	return nil
}

// maskShort masks the value of such a flag: of user:password only what is behind the colon.
func maskShort(flag, value string) string {
	if flag == "-u" || flag == "--user" {
		if user, _, ok := strings.Cut(value, ":"); ok {
			return user + ":" + masked
		}
		return value
	}
	return masked
}
