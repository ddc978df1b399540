"""Dashboard: the screen of `companion top`. Its modules but `app` and `widgets` know no Textual."""
