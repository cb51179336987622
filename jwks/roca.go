package jwks

import "math/big"

// rocaPrimes are the odd primes up to 167. The moduli of the RSALib generator
// (CVE-2017-15361, "ROCA") are a power of 65537 modulo the product of these
// primes, hence modulo each; another modulus is with probability below 2^-27.
// Nemec et al., The Return of Coppersmith's Attack, section 3 (ACM CCS 2017).
var rocaPrimes = []uint32{
	3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73,
	79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
}

// rocaWeak reports whether the modulus n bears ROCA's fingerprint, which makes
// it practical to factor.
func rocaWeak(n *big.Int) bool {
	var p, rest big.Int
	for _, prime := range rocaPrimes {
		p.SetUint64(uint64(prime))
		if !powerOf65537(uint32(rest.Mod(n, &p).Uint64()), prime) {
			return false
		}
	}
	return true
}

// powerOf65537 reports whether x is in the subgroup that 65537 generates modulo p.
func powerOf65537(x, p uint32) bool {
	for power := uint32(1); ; {
		if power == x {
			return true
		}
		if power = power * (65537 % p) % p; power == 1 {
			return false
		}
	}
}
