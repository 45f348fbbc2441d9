package config

import (
	"fmt"
	"strings"
)

// unknownKey is the sentence about a key that the section has not.
func unknownKey(key, what string, known []string) string {
	where := ""
	if what != "" {
		where = " in " + what
	}
	s := fmt.Sprintf("unknown key %s%s: ", show(key), where)
	if near := nearest(key, known); near != "" {
		return s + fmt.Sprintf("did you mean %s?", near)
	}
	if home := belongs(key, what); home != "" {
		return s + "it belongs " + home
	}
	return s + "known are " + strings.Join(known, ", ")
}

// belongs says where a misplaced key belongs, or "".
func belongs(key, what string) string {
	top := what == ""
	account := strings.HasPrefix(what, "accounts.") && strings.Count(what, ".") == 1
	switch key {
	case "smtp", "smtps", "starttls", "login", "allow", "max_message":
		if top {
			return "under listen:"
		}
	case "web":
		if top {
			return "under control:"
		}
	case "retry", "expire", "history":
		if top {
			return "under outbox:"
		}
	case "level":
		return "under log:"
	case "address", "senders", "username", "password", "auth", "fallback", "connections", "oauth":
		if top {
			return "under accounts: NAME:"
		}
	case "host", "port", "security":
		if account {
			return "under smtp: or pop:"
		}
	case "window", "finish", "hold", "settle":
		if account {
			return "under pop_before_smtp:"
		}
	case "ca", "pin", "server_name", "legacy_tls", "insecure":
		if account {
			return "under trust:"
		}
	case "provider", "client_id", "client_secret", "tenant", "scopes", "auth_url", "token_url", "device_url":
		if account {
			return "under oauth:"
		}
	case "default", "networks", "routes", "delivery", "outbox", "language", "accounts", "listen", "control":
		return "at the top of the file, without indentation"
	}
	return ""
}

// nearest returns the known word that s may have been meant to be: it differs
// by case, by one letter or (from five letters on) two, or by "-" for "_".
func nearest(s string, known []string) string {
	fold := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }
	if len(s) > 2*maxShown {
		return ""
	}
	best, least := "", 3
	for _, k := range known {
		dist := distance(fold(s), fold(k))
		if dist < least && (dist < 2 || len(k) >= 5) && dist < len(k) {
			best, least = k, dist
		}
	}
	if best == "" && len(s) >= 4 { // user for username
		for _, k := range known {
			if strings.HasPrefix(k, fold(s)) {
				return k
			}
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with
// their neighbour that turn a into b (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, prev := []int{}, make([]int, len(y)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range x {
		row := make([]int, len(y)+1)
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			row[j+1] = min(prev[j]+cost, prev[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, prev = prev, row
	}
	return prev[len(y)]
}
