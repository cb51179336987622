package jsonedit_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/seed-6d9a6c17/tokenvault/internal/jsonedit"
)

func ExampleCompile() {
	e, err := jsonedit.Compile("$.accessToken", "$.refreshToken")
	if err != nil {
		fmt.Println(err)
		return
	}
	answer := `{ "accessToken": "eyJ0eXAi", "idToken": "eyJ0eXAi", "refreshToken": "Zt2W",  "tokenExpiry": 1690712227226 }`
	err = e.Edit(os.Stdout, strings.NewReader(answer), func(jsonedit.Value) ([]byte, error) {
		return []byte(`"REDACTED"`), nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output: { "accessToken": "REDACTED", "idToken": "eyJ0eXAi", "refreshToken": "REDACTED",  "tokenExpiry": 1690712227226 }
}
