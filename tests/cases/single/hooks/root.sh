chown 1000 /srv
