//go:build unix

package chaos

// asAttacker makes the test binary an attacker; its value says which.
const asAttacker = "MELON_TEST_ATTACK"

// attackAs does one attack and returns the exit status.
func attackAs(string, []string) int { return 2 }
