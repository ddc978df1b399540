echo first
