// A signed-in user's credits. Everything shown comes from the ducto_my_* functions, which take the
// user from the token that supabase-js sends: the page never says whose account it means.

/** @typedef {import('./database.types').Database} Database */
/** @typedef {import('@supabase/supabase-js').SupabaseClient<Database>} Client */

/** @type {Client} */
const client = window.supabase.createClient(window.SUPABASE.url, window.SUPABASE.key)

// Up to fifteen digits a JavaScript number shows what the database holds.
const number = new Intl.NumberFormat('en', { maximumFractionDigits: 12 })
const date = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeZone: 'UTC' })

/**
 * The element of an id.
 * @param {string} id
 * @returns {HTMLElement}
 */
function element(id) {
  const found = document.getElementById(id)
  if (!found) throw new Error(`the page has no #${id}`)
  return found
}

/**
 * The result of a call; what goes wrong is a sentence for the user.
 * @template T
 * @param {PromiseLike<{ data: T, error: { message: string } | null }>} call
 * @returns {Promise<NonNullable<T>>}
 */
async function result(call) {
  const { data, error } = await call
  if (error) throw new Error(error.message)
  if (data === null || data === undefined) throw new Error('The answer was empty.')
  return data
}

/**
 * Show what a promise fails with, and nothing when it does not.
 * @param {Promise<void>} work
 */
async function attempt(work) {
  const problem = element('problem')
  try {
    await work
    problem.hidden = true
  } catch (error) {
    problem.textContent = error instanceof Error ? error.message : String(error)
    problem.hidden = false
  }
}

async function showBalance() {
  const balance = await result(client.rpc('ducto_my_balance', {}, { get: true }))
  element('available').textContent = number.format(balance.available)
  const parts = {
    'Bought or granted': balance.balance,
    'Left of the allowance': balance.allowance_remaining,
    'Set aside': balance.held,
  }
  element('balance').replaceChildren(
    ...Object.entries(parts).flatMap(([name, amount]) => {
      const [term, value] = [document.createElement('dt'), document.createElement('dd')]
      term.textContent = name
      value.textContent = number.format(amount)
      return [term, value]
    }),
  )
}

async function showPlan() {
  const plan = await result(client.rpc('ducto_my_plan', {}, { get: true }))
  const allowance = plan.free_allowance ?? 0
  element('plan').textContent = plan.name ?? 'No plan'
  element('allowance-text').textContent = allowance
    ? `${number.format(plan.allowance_remaining)} of ${number.format(allowance)} free credits left`
    : 'No free credits'
  const bar = element('allowance')
  bar.hidden = !allowance
  bar.setAttribute('max', String(allowance || 1))
  bar.setAttribute('value', String(plan.allowance_remaining))
  element('period').textContent = plan.period_end
    ? `New ones on ${date.format(new Date(plan.period_end))}`
    : ''
}

async function showUsage() {
  const rows = await result(client.rpc('ducto_my_usage', {}, { get: true }).limit(50))
  element('usage').replaceChildren(
    ...rows.map((row) => {
      const line = document.createElement('tr')
      const cells = [
        date.format(new Date(row.day)),
        row.model ?? 'other',
        number.format(row.charges),
        number.format(row.input_tokens + row.output_tokens),
        number.format(row.allowance_consumed),
        number.format(row.spent),
      ]
      for (const text of cells) line.insertCell().textContent = text
      return line
    }),
  )
}

/** @param {FormData} asked */
async function showQuote(asked) {
  const quote = await result(
    client.rpc('ducto_my_quote', {
      p_metrics: {
        model: String(asked.get('model')),
        input_tokens: Number(asked.get('input_tokens')),
        output_tokens: Number(asked.get('output_tokens')),
      },
    }),
  )
  const free = quote.allowance_consumed
  element('cost').textContent = quote.affordable
    ? `${number.format(quote.cost)} credits${free ? `, ${number.format(free)} of them free` : ''}`
    : (quote.message ?? 'Not possible now.')
}

async function show() {
  const { data } = await client.auth.getSession()
  const signedIn = data.session !== null
  element('sign-in').hidden = signedIn
  element('sign-out').hidden = !signedIn
  if (signedIn) await Promise.all([showBalance(), showPlan(), showUsage()])
  element('account').hidden = !signedIn
}

/**
 * Do something with what a form holds when it is sent.
 * @param {string} id
 * @param {(sent: FormData) => Promise<void>} work
 */
function onSubmit(id, work) {
  const form = /** @type {HTMLFormElement} */ (element(id))
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    void attempt(work(new FormData(form)))
  })
}

onSubmit('quote', showQuote)
onSubmit('sign-in', async (sent) => {
  const { error } = await client.auth.signInWithPassword({
    email: String(sent.get('email')),
    password: String(sent.get('password')),
  })
  if (error) throw new Error(error.message)
  await show()
})
element('sign-out').addEventListener('click', () => {
  void attempt(client.auth.signOut({ scope: 'local' }).then(show))
})
void attempt(show())
