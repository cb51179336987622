package vault_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-6d9a6c17/tokenvault/tokenvault/vault"
)

func TestRefresh_SentButUnansweredLeavesLeaseAndIntentAndIsAskedAgain(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		tok := f.connect("g", "alice", -time.Minute)
		f.as.set(once(act{before: hang, status: dropped}))
		began := time.Now()
		_, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.ErrorIs(f, err, vault.ErrUnavailable)
		require.Equal(f, 8*time.Second, time.Since(began))
		row := f.row("g")
		require.NotEmpty(f, row.Holder)
		require.NotZero(f, row.Intent)
		require.Equal(f, vault.Active, row.State)
		require.InDelta(f, 7, retryAfter(f, err).Seconds(), 0.1, "what is left of the lease")

		_, err = f.replica().Reveal(f.Context(), "g", "alice")
		require.NoError(f, err, "the next holder")
		posts := f.as.posts("/token")
		require.Len(f, posts, 2)
		require.Equal(f, tok.RefreshToken, posts[1].form.Get("refresh_token"), "with the same refresh token")
		require.InDelta(f, 15, time.Since(began).Seconds(), 0.5)
	})
}

func TestRefresh_AServerThatHangsForAnHourLogsNobodyOut(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		recovers := time.Now().Add(time.Hour)
		f.as.set(func(int) act {
			if time.Now().Before(recovers) {
				return act{before: hang, status: dropped}
			}
			return act{}
		})
		fleet := []*vault.Vault{f.vault, f.replica(), f.replica()}
		for n := 0; time.Now().Before(recovers); n++ {
			ctx, cancel := context.WithTimeout(f.Context(), time.Second)
			_, err := fleet[n%3].Reveal(ctx, "g", "alice")
			cancel()
			require.ErrorIs(f, err, vault.ErrUnavailable)
			time.Sleep(10 * time.Second)
		}
		require.Equal(f, vault.Active, f.row("g").State)
		require.Less(f, f.as.refreshes(), 30, "with a back-off shared by the fleet")
		time.Sleep(8 * time.Minute)
		_, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.NoError(f, err)
		require.Zero(f, f.row("g").NotBefore, "forgotten after a success")
	})
}

func TestRefresh_BackOffDoublesUpToFiveMinutes(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.as.set(func(int) act { return act{status: 503} })
		var last time.Duration
		for n := range 12 {
			_, err := f.vault.Reveal(f.Context(), "g", "alice")
			require.ErrorIs(f, err, vault.ErrUnavailable)
			pause := retryAfter(f, err)
			require.LessOrEqual(f, pause, 7*time.Minute+30*time.Second)
			if n < 7 {
				require.GreaterOrEqual(f, pause, last*3/2, "after %d failures", n+1)
			}
			last = pause
			time.Sleep(pause + time.Millisecond)
			require.Equal(f, n+1, f.as.refreshes())
		}
		require.GreaterOrEqual(f, last, 5*time.Minute)
	})
}

func TestRefresh_RotationWithoutAnAnswerCostsOneLogin(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.as.set(once(act{fail: reset}))
		_, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.ErrorIs(f, err, vault.ErrUnavailable)
		_, err = f.vault.Reveal(f.Context(), "g", "alice")
		require.ErrorIs(f, err, vault.ErrReauthorize)
		require.Equal(f, 2, f.as.refreshes(), "at most two POSTs")
		require.Equal(f, vault.Dead, f.row("g").State)
		_, err = f.vault.Reveal(f.Context(), "g", "alice")
		require.ErrorIs(f, err, vault.ErrReauthorize)
		require.ErrorIs(f, f.vault.Refresh(f.Context(), "g", "alice"), vault.ErrReauthorize)
		require.Equal(f, 2, f.as.refreshes(), "a dead grant is not asked for")
		f.connect("g", "alice", time.Hour)
		_, err = f.vault.Reveal(f.Context(), "g", "alice")
		require.NoError(f, err, "the one login")
	})
}

func TestRefresh_InvalidGrantForTheCurrentGenerationKills(t *testing.T) {
	for name, a := range map[string]act{
		"400": {status: 400, body: `{"error":"invalid_grant"}`},
		"200": {status: 200, body: `{"error":"invalid_grant"}`},
		"401": {status: 401, body: `{"error":"invalid_grant"}`},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(f *fixture) {
				f.connect("g", "alice", -time.Minute)
				f.as.set(once(a))
				require.ErrorIs(f, f.vault.Refresh(f.Context(), "g", "alice"), vault.ErrReauthorize)
				row := f.row("g")
				require.Equal(f, vault.Dead, row.State)
				require.Empty(f, row.Holder)
				require.Equal(f, vault.ErrReauthorize, f.events.of("refresh")[0].Err)
			})
		})
	}
}

func TestRefresh_TheAnswersRefreshExpiresInCounts(t *testing.T) {
	for value, want := range map[any]time.Duration{1800: 30 * time.Minute, "1800": 30 * time.Minute, 0: 90 * 24 * time.Hour, -1: 90 * 24 * time.Hour, true: 90 * 24 * time.Hour} {
		t.Run(fmt.Sprint(value), func(t *testing.T) {
			inBubble(t, nil, func(f *fixture) {
				f.connect("g", "alice", -time.Minute)
				f.as.extra = map[string]any{"refresh_expires_in": value, "expires_in": "60"}
				require.NoError(f, f.vault.Refresh(f.Context(), "g", "alice"))
				row := f.row("g")
				require.WithinDuration(f, time.Now().Add(want), row.Expires, time.Second)
				require.WithinDuration(f, time.Now().Add(time.Minute), row.AccessExpires, time.Second)
			})
		})
	}
}

func TestRefresh_AnAnswerWithoutReadableTokenIsNoAnswer(t *testing.T) {
	for name, body := range map[string]string{
		"truncated":       `{"access_token":"a`,
		"empty":           ``,
		"HTML":            `<html>`,
		"no access token": `{"refresh_token":"r"}`,
		"too long":        `{"access_token":"` + string(make([]byte, 64<<10)) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(f *fixture) {
				f.connect("g", "alice", -time.Minute)
				f.as.set(once(act{status: 200, body: body}))
				require.ErrorIs(f, f.vault.Refresh(f.Context(), "g", "alice"), vault.ErrUnavailable)
				row := f.row("g")
				require.NotEmpty(f, row.Holder, "lease and intent are left")
				require.NotZero(f, row.Intent)
				require.NoError(f, f.vault.Refresh(f.Context(), "g", "alice"))
				require.Equal(f, 2, f.as.refreshes())
			})
		})
	}
}

func TestRefresh_FormEncodedAnswersAreRead(t *testing.T) {
	inBubble(t, nil, func(f *fixture) {
		f.connect("g", "alice", -time.Minute)
		f.as.set(once(act{
			status: 200, header: http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}},
			body: "access_token=a%2Fb&expires_in=60&scope=x+y",
		}))
		got, err := f.vault.Reveal(f.Context(), "g", "alice")
		require.NoError(f, err)
		require.Equal(f, "a/b", got.AccessToken)
		require.Equal(f, "x y", got.Extra("scope"))
		require.WithinDuration(f, time.Now().Add(time.Minute), got.Expiry, time.Second)
	})
}
