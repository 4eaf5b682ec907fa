// Of your project: both are meant to be public. What a visitor may see is decided by the database.
window.SUPABASE = { url: 'http://127.0.0.1:54321', key: 'the anon key' }
