// The script holds a sealed API key, and no key that opens it.
const response = await fetch(process.env.TARGET, {
  headers: { 'X-Tokenvault-Auth': process.env.CALLER, 'X-Api-Key': process.env.API_KEY },
});
if (!response.ok) process.exitCode = 1;
console.log(await response.text());
