// Seals and opens with the npm package jose what a test asks for: a JSON array
// of jobs on standard input, a JSON array of answers on standard output.
import { CompactEncrypt, compactDecrypt, importJWK } from 'jose'

const chunks = []
for await (const chunk of process.stdin) chunks.push(chunk)
const jobs = JSON.parse(Buffer.concat(chunks).toString())

const answers = []
for (const { op, jwk, plaintext, header, jwe } of jobs) {
  const key = await importJWK(jwk, jwk.alg)
  if (op === 'seal') {
    answers.push({
      jwe: await new CompactEncrypt(Buffer.from(plaintext, 'base64'))
        .setProtectedHeader({ ...header, alg: jwk.alg, enc: 'A256GCM', kid: jwk.kid })
        .encrypt(key),
    })
    continue
  }
  const opened = await compactDecrypt(jwe, key, {
    keyManagementAlgorithms: [jwk.alg],
    contentEncryptionAlgorithms: ['A256GCM'],
  })
  answers.push({
    plaintext: Buffer.from(opened.plaintext).toString('base64'),
    header: opened.protectedHeader,
  })
}
process.stdout.write(JSON.stringify(answers))
